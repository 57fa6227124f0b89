// Products by register tiles from packed operands: `left` is packed once and shared, of `right` each thread packs a few
// columns at a time, which stay in its cache while every tile of rows passes over them (Goto and van de Geijn, 2008).
#include <algorithm>
#include <atomic>

#include "gemm/gemm_kernels.h"
#include "gemm/gemm_scratch.h"

namespace glulam {
namespace {

// `left` is packed in row blocks of at most this size, whatever the number of rows.
constexpr size_t packedBytes = size_t(32) << 20;
// Rows that are summed outside of C (see `direct`) at a time.
constexpr size_t summedRows = 1536;

struct Product {
  const GemmKernels& kernels;
  Strip left, right;
  size_t n, k;
  const Target& target;
  size_t panel;  // columns of a register tile
  size_t group;  // columns that a thread packs at a time, in panels
  size_t block;  // cells along k that are packed at a time
  // Sums go straight to C, block of k by block of k, where C has their type and layout.
  bool direct;

  size_t cells() const { return (k + kernels.step - 1) / kernels.step; }
};

// Rows [first, first + rows) of the product, cut into tiles that are as equal as can be. Packed, a tile's part of the
// block of k that begins at `cell` lies at cell * rows + row(tile) * (the block's cells).
struct RowBlock {
  size_t first, rows, tiles;

  RowBlock(size_t first_, size_t rows_, size_t tileRows)
      : first(first_), rows(rows_), tiles((rows_ + tileRows - 1) / tileRows) {}
  size_t row(size_t tile) const { return tile * (rows / tiles) + std::min(tile, rows % tiles); }
};

// What a thread does from one pack to the next: tiles [begin, end) by some columns, along a block of k.
struct Step {
  size_t begin, end;
  size_t column, columns;
  size_t cell, cells;
};

void packTile(const Product& product, const RowBlock& rowBlock, size_t tile, uint32_t* packed) {
  const GemmKernels& kernels = product.kernels;
  const size_t row = rowBlock.row(tile), rows = rowBlock.row(tile + 1) - row;
  for (size_t cell = 0; cell < product.cells(); cell += product.block) {
    const size_t cells = std::min(product.block, product.cells() - cell), k = cell * kernels.step;
    const size_t length = std::min(cells * kernels.step, product.k - k);
    const Strip strip = from(product.left, rowBlock.first + row, k);
    kernels.pack(decoded(kernels, strip, rows, length), rows, length,
                 packed + cell * rowBlock.rows + row * cells, rows, cells);
  }
}

// One thread's part of a product: it takes tasks until there are none.
class Worker {
 public:
  Worker(const Product& product, const RowBlock& rows, const uint32_t* packed, size_t parts, std::atomic<size_t>& tasks)
      : product_(product), rows_(rows), packed_(packed), parts_(parts), tasks_(tasks) {}

  void run() {
    thread_local Scratch panelScratch, sumsScratch, finishScratch;
    const size_t panelCells = product_.block * product_.group;
    auto panels = static_cast<uint32_t*>(panelScratch.reserve(panelCells * 4));
    if (!product_.direct) {
      const size_t mostRows = rows_.rows / parts_ + 2 * product_.kernels.tileRows;
      sums_ = static_cast<float*>(sumsScratch.reserve(mostRows * product_.group * 4));
    }
    if (const Finish* finish = product_.target.finish) {
      finish_ = static_cast<float*>(finishScratch.reserve(finish->rank * product_.group * 4));
    }
    for (Step step; firstStep(step);) {
      do {
        const size_t k = step.cell * product_.kernels.step;
        const size_t length = std::min(step.cells * product_.kernels.step, product_.k - k);
        const Strip strip = from(product_.right, step.column, k);
        product_.kernels.pack(decoded(product_.kernels, strip, step.columns, length), step.columns,
                              length, panels, product_.panel, step.cells);
        for (size_t tile = step.begin; tile < step.end; tile++) multiply(step, tile, panels);
      } while (nextBlock(step));
      if (product_.target.finish) {
        finish(step);
      } else if (!product_.direct) {
        store(step);
      }
    }
  }

 private:
  // A task is a group of columns by a part of the rows.
  bool firstStep(Step& step) {
    const size_t task = tasks_.fetch_add(1, std::memory_order_relaxed), part = task % parts_;
    step.column = task / parts_ * product_.group;
    if (step.column >= product_.n) return false;
    step.columns = std::min(product_.group, product_.n - step.column);
    step.begin = rows_.tiles * part / parts_;
    step.end = rows_.tiles * (part + 1) / parts_;
    step.cell = 0;
    step.cells = std::min(product_.block, product_.cells());
    return true;
  }

  bool nextBlock(Step& step) const {
    if (step.cell + step.cells == product_.cells()) return false;
    step.cell += step.cells;
    step.cells = std::min(product_.block, product_.cells() - step.cell);
    return true;
  }

  void multiply(const Step& step, size_t tile, const uint32_t* panels) const {
    const GemmKernels& kernels = product_.kernels;
    const Target& target = product_.target;
    const size_t row = rows_.row(tile), rows = rows_.row(tile + 1) - row;
    const uint32_t* left = packed_ + step.cell * rows_.rows + row * step.cells;
    for (size_t column = 0; column < step.columns; column += product_.panel) {
      const size_t columns = std::min(product_.panel, step.columns - column);
      float *out, alpha = 1, beta = step.cell == 0 ? 0 : 1;
      size_t stride = product_.group;
      if (product_.direct) {
        out = reinterpret_cast<float*>(target.at(rows_.first + row, step.column + column));
        stride = target.c.rowStride;
        alpha = target.alpha;
        if (step.cell == 0) beta = target.beta;
      } else {
        out = sums_ + (row - rows_.row(step.begin)) * stride + column;
      }
      kernels.tile(rows, product_.panel / kernels.lanes, left, panels + column * step.cells, step.cells, out, stride,
                   columns, alpha, beta);
    }
  }

  void finish(const Step& step) const {
    const Target& target = product_.target;
    const FinishColumns columns(*target.finish, product_.n, step.column, step.columns, finish_);
    const size_t begin = rows_.row(step.begin), end = rows_.row(step.end);
    for (size_t i = begin; i < end; i++) {
      const size_t row = rows_.first + i;
      columns.store(product_.kernels, target, row,
                    product_.direct ? reinterpret_cast<float*>(target.at(row, step.column))
                                    : sums_ + (i - begin) * product_.group);
    }
  }

  void store(const Step& step) const {
    const Target& target = product_.target;
    const size_t begin = rows_.row(step.begin), rows = rows_.row(step.end) - begin, stride = product_.group;
    if (!target.transposed) {
      for (size_t row = 0; row < rows; row++) {
        product_.kernels.store(sums_ + row * stride, step.columns, target.at(rows_.first + begin + row, step.column),
                               target.c.type, target.alpha, target.beta);
      }
      return;
    }
    constexpr size_t run = 256;
    float turned[run];
    for (size_t c = 0; c < step.columns; c++) {
      for (size_t row = 0; row < rows; row += run) {
        const size_t n = std::min(run, rows - row);
        for (size_t i = 0; i < n; i++) turned[i] = sums_[(row + i) * stride + c];
        product_.kernels.store(turned, n, target.at(step.column + c, rows_.first + begin + row), target.c.type,
                               target.alpha, target.beta);
      }
    }
  }

  const Product& product_;
  const RowBlock& rows_;
  const uint32_t* packed_;
  size_t parts_;
  std::atomic<size_t>& tasks_;
  float* sums_ = nullptr;
  float* finish_ = nullptr;
};

}  // namespace

void multiplyTiles(Pool& pool, const GemmKernels& kernels, const Strip& left, size_t m, const Strip& right, size_t n,
                   size_t k, const Target& target) {
  thread_local Scratch packedScratch;
  const size_t threads = size_t(pool.threads());
  // `right` along k is read in long rows anyway. Where its rows run across, a narrow strip of them would fall on few
  // sets of the cache (strides are powers of two, or nearly), so more columns are taken at a time, and less of k.
  const bool turned = right.along == 1;
  const size_t panel = std::min(kernels.tileVectors, (n + kernels.lanes - 1) / kernels.lanes) * kernels.lanes;
  size_t group = std::max<size_t>(turned ? 64 : 256, panel);
  while (group > panel && n < 2 * threads * group) group = std::max(panel, group / 2 / panel * panel);
  const bool direct = target.c.type == DType::f32 && !target.transposed;
  const Product product{kernels, left, right, n, k, target, panel, group, size_t(turned ? 512 : 384), direct};

  const size_t mostRows = std::max(packedBytes / (product.cells() * 4), 16 * kernels.tileRows);
  const size_t blocks = (m + mostRows - 1) / mostRows;
  for (size_t b = 0; b < blocks; b++) {
    const size_t first = m * b / blocks;
    const RowBlock rows(first, m * (b + 1) / blocks - first, kernels.tileRows);
    auto packed = static_cast<uint32_t*>(packedScratch.reserve(rows.rows * product.cells() * 4));

    // Work so small that waking threads would cost more than it saves is done by the caller alone.
    const bool small = rows.rows * n * k < 100000;
    pool.forEach(rows.tiles, small ? rows.tiles : std::max<size_t>(1, rows.tiles / (4 * threads)),
                 [&](size_t begin, size_t end) {
                   for (size_t tile = begin; tile < end; tile++) packTile(product, rows, tile, packed);
                 });

    const size_t groups = (n + group - 1) / group;
    size_t parts = product.direct ? 1 : (rows.rows + summedRows - 1) / summedRows;
    if (groups < 4 * threads) parts = std::max(parts, std::min(4 * threads / groups, rows.rows / 96));
    parts = std::max<size_t>(1, std::min(parts, rows.tiles));
    std::atomic<size_t> tasks{0};
    const auto work = [&](int) { Worker(product, rows, packed, parts, tasks).run(); };
    small ? work(0) : pool.run(work);
  }
}

}  // namespace glulam
