// The last hour of one thing that is counted, as points of the same length. Pure.

/** How long a point is, in seconds. To look at 1,000 services takes the gateway 23 ms, which is 0.2 % of a core. */
export const POINT = 10;
/** An hour. */
export const POINTS = 3600 / POINT;

/** What a point tells. */
const KINDS = ["requests", "errors", "times"] as const;
export type Kind = (typeof KINDS)[number];

/** Points, the oldest first; null: not known. */
export type Points = Readonly<Record<Kind, readonly (number | null)[]>>;

/** One point. Requests and errors are those a second, the time is in milliseconds. NaN: not known. */
export type Point = Readonly<Record<Kind, number>>;

const UNKNOWN: Point = { requests: Number.NaN, errors: Number.NaN, times: Number.NaN };

/** Digits behind the point of what is told. */
const DIGITS = 1_000;

/** The points of an hour. It takes 4.3 kB, however much is counted. */
export class Ring {
  readonly #values: Readonly<Record<Kind, Float32Array>> = {
    requests: new Float32Array(POINTS).fill(Number.NaN),
    errors: new Float32Array(POINTS).fill(Number.NaN),
    times: new Float32Array(POINTS).fill(Number.NaN),
  };
  #next = 0;

  /** A ring of what had no requests, as far back as another one knows anything. */
  static idleBeside(other: Ring): Ring {
    const ring = new Ring();
    ring.#next = other.#next;
    for (const [index, value] of other.#values.requests.entries()) {
      if (Number.isNaN(value)) continue;
      ring.#values.requests[index] = 0;
      ring.#values.errors[index] = 0;
    }
    return ring;
  }

  /** Adds the newest point; the oldest one goes. */
  add(point: Point): void {
    for (const kind of KINDS) this.#values[kind][this.#next] = point[kind];
    this.#next = (this.#next + 1) % POINTS;
  }

  /** Of this time nothing is known. */
  skip(): void {
    this.add(UNKNOWN);
  }

  /**
   * The means of so many points each, from the oldest that is known on.
   * @param size a divisor of `POINTS`
   */
  points(size: number): Points {
    const groups = Array.from({ length: POINTS / size }, (_, group) => this.#mean(group, size));
    const first = groups.findIndex(({ requests }) => !Number.isNaN(requests));
    const known = first === -1 ? [] : groups.slice(first);
    const toldOf = (kind: Kind) => known.map((point) => told(point[kind]));
    return { requests: toldOf("requests"), errors: toldOf("errors"), times: toldOf("times") };
  }

  /** The mean of the last points. */
  latest(size: number): Point {
    return this.#mean(POINTS / size - 1, size);
  }

  /** The mean of a group of points; the times count by their requests. */
  #mean(group: number, size: number): Point {
    const { requests, errors, times } = this.#values;
    let [known, allRequests, allErrors, timed, time] = [0, 0, 0, 0, 0];
    for (let place = 0; place < size; place++) {
      const index = (this.#next + group * size + place) % POINTS;
      const count = requests[index] ?? Number.NaN;
      if (Number.isNaN(count)) continue;
      known += 1;
      allRequests += count;
      allErrors += errors[index] ?? 0;
      const each = times[index] ?? Number.NaN;
      if (Number.isNaN(each)) continue;
      timed += count;
      time += each * count;
    }
    if (known === 0) return UNKNOWN;
    return {
      requests: allRequests / known,
      errors: allErrors / known,
      times: timed === 0 ? Number.NaN : time / timed,
    };
  }
}

/** A value as it is told; null: not known. */
export function told(value: number): number | null {
  return Number.isNaN(value) ? null : Math.round(value * DIGITS) / DIGITS;
}
