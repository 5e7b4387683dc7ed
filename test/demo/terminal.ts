// Draws what a terminal shows as an SVG: text that can be selected, in the colours of a light or a dark page.

/** A command that was typed, and what it printed. */
export interface Typed {
  readonly command: string;
  readonly output: string;
}

/** In pixels. Letters are set apart by `textLength`, so that columns are right in any font. */
const [COLUMN, LINE, MARGIN, BAR] = [7.8, 19, 20, 34];

const STYLE = `
    svg { color-scheme: light dark; }
    rect { fill: #f6f8fa; stroke: #d1d9e0; }
    text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #3d444d; }
    .command { font-weight: 600; fill: #1f2328; }
    .prompt { fill: #1a7f37; }
    circle { fill: #d1d9e0; }
    @media (prefers-color-scheme: dark) {
      rect { fill: #0d1117; stroke: #3d444d; }
      text { fill: #b7bdc8; }
      .command { fill: #f0f6fc; }
      .prompt { fill: #3fb950; }
      circle { fill: #3d444d; }
    }
`;

/** @param title what a reader hears who does not see it */
export function drawTerminal(session: readonly Typed[], title: string): string {
  const lines = session.flatMap(({ command, output }, index) => [
    ...(index === 0 ? [] : [""]),
    `$ ${command}`,
    ...output.trimEnd().split("\n"),
  ]);
  const columns = Math.max(...lines.map((line) => line.length));
  const width = Math.ceil(columns * COLUMN + 2 * MARGIN);
  const height = BAR + lines.length * LINE + MARGIN;
  const dots = [0, 1, 2].map(
    (number) => `  <circle cx="${MARGIN + number * 18}" cy="${BAR / 2 + 2}" r="5.5"/>\n`,
  );
  const texts = lines.map((line, index) => drawLine(line, BAR + index * LINE + 14));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${escape(title)}">
  <style>${STYLE}  </style>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${dots.join("")}${texts.join("")}</svg>
`;
}

function drawLine(line: string, y: number): string {
  if (!line.startsWith("$ ")) return drawText(line, 0, y, "");
  return drawText("$", 0, y, "prompt") + drawText(line.slice(2), 2, y, "command");
}

function drawText(text: string, column: number, y: number, kind: string): string {
  const bare = text.trimStart();
  if (bare === "") return "";
  const x = MARGIN + (column + text.length - bare.length) * COLUMN;
  const own = kind === "" ? "" : ` class="${kind}"`;
  const length = `textLength="${(bare.length * COLUMN).toFixed(1)}"`;
  return `  <text x="${x.toFixed(1)}" y="${y}"${own} ${length} xml:space="preserve">${escape(bare)}</text>\n`;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
