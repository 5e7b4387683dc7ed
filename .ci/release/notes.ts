// Reads CHANGELOG.md: the text for a release's page, and whether everything is ready for a tag.

/** The section of a version, without its heading. @throws Error if there is none */
export function releaseNotes(changelog: string, version: string): string {
  const sections = changelog.split(/^(?=## )/m);
  const section = sections.find((each) => each.startsWith(`## [${version}]`));
  if (section === undefined) throw new Error(`Cannot release ${version}: CHANGELOG.md lacks it`);
  // The links to all versions stand below the last section.
  return `${section
    .replace(/^.*\n/, "")
    .replace(/^\[[^\]]+\]: .*$/gm, "")
    .trim()}\n`;
}

/** @throws Error if the tag is not for this version, or the version has no date yet */
export function checkTag(tag: string, version: string, changelog: string): void {
  if (tag !== `v${version}`) {
    throw new Error(`Cannot release tag ${tag}: package.json has version ${version}`);
  }
  const dated = new RegExp(`^## \\[${RegExp.escape(version)}\\] - \\d{4}-\\d\\d-\\d\\d$`, "m");
  if (!dated.test(changelog)) {
    throw new Error(`Cannot release tag ${tag}: CHANGELOG.md has no date for [${version}]`);
  }
}
