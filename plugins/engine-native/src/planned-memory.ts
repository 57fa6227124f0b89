/** One block, live or kept. */
export interface PlannedBlock {
  readonly bucket: number;
  /** The huge pages that it lies on; none where it lies in no slab. */
  readonly pages: readonly Page[];
}

interface Page {
  readonly number: number;
  held: boolean;
  live: number;
}

interface Slab {
  readonly pages: Page[];
  used: number;
}

const hugePage = 2 * 2 ** 20;
const [middleFrom, largeFrom] = process.platform === 'linux' ? [32 * 2 ** 10, 4 * hugePage] : [hugePage, hugePage];

/** Sizes in steps of an eighth of their power of two, as native/memory.cc rounds them. */
function bucketOf(bytes: number): number {
  if (bytes <= 512) return Math.max(64, Math.ceil(bytes / 64) * 64);
  let step = 64;
  while (step * 16 <= bytes) step *= 2;
  return Math.ceil(bytes / step) * step;
}

function slabBytesFor(bucket: number): number {
  let bytes = hugePage;
  while (bytes < 8 * bucket) bytes *= 2;
  return bytes;
}

/**
 * What native/memory.cc does with its blocks, without memory: which it keeps and gives back, and so what it holds of the
 * system. The two change together.
 */
export class PlannedMemory {
  /** Bytes of live blocks. */
  live = 0;
  /** Bytes held of the system: live blocks, kept ones, and what lies beside them on their pages. */
  held = 0;
  heldPeak = 0;
  #livePeak = 0;
  #pages = 0;
  readonly #kept = new Map<number, PlannedBlock[]>();
  readonly #filling = new Map<number, Slab>();
  readonly #idle = new Map<number, Page>();

  take(bytes: number): PlannedBlock {
    const bucket = bucketOf(bytes);
    const block = this.#kept.get(bucket)?.pop() ?? this.#fresh(bucket);
    const missing = block.pages.filter((page) => !page.held);
    for (const page of block.pages) {
      page.live += 1;
      this.#idle.delete(page.number);
    }
    if (missing.length > 0) {
      this.#makeRoom(missing.length * hugePage, bucket);
      for (const page of missing) page.held = true;
      this.#hold(missing.length * hugePage);
    }
    this.live += bucket;
    this.#livePeak = Math.max(this.#livePeak, this.live);
    return block;
  }

  give(block: PlannedBlock): void {
    const list = this.#kept.get(block.bucket);
    if (list === undefined) this.#kept.set(block.bucket, [block]);
    else list.push(block);
    this.live -= block.bucket;
    for (const page of block.pages) {
      page.live -= 1;
      if (page.live === 0) this.#idle.set(page.number, page);
    }
  }

  #hold(bytes: number): void {
    this.held += bytes;
    this.heldPeak = Math.max(this.heldPeak, this.held);
  }

  #fresh(bucket: number): PlannedBlock {
    if (bucket < middleFrom || bucket >= largeFrom) {
      this.#makeRoom(bucket, bucket);
      this.#hold(bucket);
      return { bucket, pages: [] };
    }
    const bytes = slabBytesFor(bucket);
    let slab = this.#filling.get(bytes);
    if (slab === undefined || slab.used + bucket > bytes) {
      slab = { pages: [], used: 0 };
      this.#filling.set(bytes, slab);
    }
    const first = Math.floor(slab.used / hugePage);
    slab.used += bucket;
    while (slab.pages.length * hugePage < slab.used) slab.pages.push({ number: this.#pages++, held: false, live: 0 });
    return { bucket, pages: slab.pages.slice(first) };
  }

  /** Gives back what is kept: large blocks first, then pages without live blocks, the last one first, then small blocks. */
  #makeRoom(bytes: number, bucket: number): void {
    const most = Math.max(this.#livePeak, this.live + bucket);
    const giveBackLargest = (fits: (bucket: number) => boolean): boolean => {
      let largest = 0;
      for (const [each, { length }] of this.#kept) if (length > 0 && fits(each)) largest = Math.max(largest, each);
      this.#kept.get(largest)?.pop();
      this.held -= largest;
      return largest > 0;
    };
    const giveBackPage = (): boolean => {
      let last: Page | undefined;
      for (const page of this.#idle.values()) if (last === undefined || page.number > last.number) last = page;
      if (last === undefined) return false;
      last.held = false;
      this.#idle.delete(last.number);
      this.held -= hugePage;
      return true;
    };
    while (this.held + bytes > most) {
      const gave =
        giveBackLargest((each) => each >= largeFrom) || giveBackPage() || giveBackLargest((each) => each < middleFrom);
      if (!gave) return;
    }
  }
}
