// Products by register tiles from packed operands: `left` is packed once and shared, of `right` each thread packs one
// panel at a time, which stays in its cache while every tile of rows passes over it (Goto and van de Geijn, 2008).
#include <algorithm>

#include "gemm_kernels.h"
#include "gemm_scratch.h"

namespace glulam {
namespace {

// `left` is packed in row blocks of at most this size, whatever the number of rows.
constexpr size_t packedBytes = size_t(32) << 20;
// Rows that are summed outside of C (see `direct`) at a time.
constexpr size_t summedRows = 1536;

struct Product {
  const Kernels& kernels;
  Strip left, right;
  size_t k;
  size_t block;  // cells along k that are packed at a time
  const Target& target;
  // Sums go straight to C, block of k by block of k, where C has their type and layout.
  bool direct;

  size_t cells() const { return (k + kernels.step - 1) / kernels.step; }
  size_t panel() const { return kernels.lanes * kernels.tileVectors; }
};

// Rows [first, first + rows) of the product, cut into tiles that are as equal as can be. Packed, tile t of the block of
// k that begins at cell c lies at c * rows + row(t) * (the block's cells).
struct RowBlock {
  size_t first, rows, tiles;

  RowBlock(size_t first_, size_t rows_, size_t tileRows)
      : first(first_), rows(rows_), tiles((rows_ + tileRows - 1) / tileRows) {}
  size_t row(size_t tile) const { return tile * (rows / tiles) + std::min(tile, rows % tiles); }
};

void packTile(const Product& product, const RowBlock& block, size_t tile, uint32_t* packed) {
  const Kernels& kernels = product.kernels;
  const size_t row = block.row(tile), rows = block.row(tile + 1) - row;
  for (size_t cell = 0; cell < product.cells(); cell += product.block) {
    const size_t cells = std::min(product.block, product.cells() - cell), k = cell * kernels.step;
    kernels.pack(from(product.left, block.first + row, k), rows, std::min(cells * kernels.step, product.k - k),
                 packed + cell * block.rows + row * cells, rows);
  }
}

// Adds up tiles [begin, end) in the columns of a few panels.
void multiplyPanels(const Product& product, const RowBlock& block, const uint32_t* packed, size_t begin, size_t end,
                    size_t column, size_t columns) {
  thread_local Scratch panelScratch, sumsScratch;
  const Kernels& kernels = product.kernels;
  const Target& target = product.target;
  const size_t panel = std::min(product.panel(), (columns + kernels.lanes - 1) / kernels.lanes * kernels.lanes);
  const size_t panels = (columns + panel - 1) / panel, stride = panels * panel;
  const size_t firstRow = block.row(begin), rows = block.row(end) - firstRow;
  auto right = static_cast<uint32_t*>(panelScratch.reserve(product.block * stride * 4));
  float* sums = product.direct ? nullptr : static_cast<float*>(sumsScratch.reserve(rows * stride * 4));

  for (size_t cell = 0; cell < product.cells(); cell += product.block) {
    const size_t cells = std::min(product.block, product.cells() - cell), k = cell * kernels.step;
    kernels.pack(from(product.right, column, k), columns, std::min(cells * kernels.step, product.k - k), right, panel);
    for (size_t tile = begin; tile < end; tile++) {
      const size_t row = block.row(tile), tileRows = block.row(tile + 1) - row;
      const uint32_t* left = packed + cell * block.rows + row * cells;
      for (size_t p = 0; p < panels; p++) {
        const size_t from = p * panel, width = std::min(panel, columns - from);
        const size_t vectors = panel / kernels.lanes;
        if (product.direct) {
          auto out = reinterpret_cast<float*>(target.at(block.first + row, column + from));
          kernels.tile(tileRows, vectors, left, right + from * cells, cells, out, target.c.rowStride, width,
                       target.alpha, cell == 0 ? target.beta : 1);
        } else {
          kernels.tile(tileRows, vectors, left, right + from * cells, cells, sums + (row - firstRow) * stride + from,
                       stride, width, 1, cell == 0 ? 0 : 1);
        }
      }
    }
  }
  if (product.direct) return;

  if (!target.transposed) {
    for (size_t row = 0; row < rows; row++) {
      kernels.store(sums + row * stride, columns, target.at(block.first + firstRow + row, column), target.c.type,
                    target.alpha, target.beta);
    }
    return;
  }
  constexpr size_t run = 256;
  float turned[run];
  for (size_t c = 0; c < columns; c++) {
    for (size_t row = 0; row < rows; row += run) {
      const size_t n = std::min(run, rows - row);
      for (size_t i = 0; i < n; i++) turned[i] = sums[(row + i) * stride + c];
      kernels.store(turned, n, target.at(column + c, block.first + firstRow + row), target.c.type, target.alpha,
                    target.beta);
    }
  }
}

}  // namespace

void multiplyTiles(Pool& pool, const Kernels& kernels, const Strip& left, size_t m, const Strip& right, size_t n,
                   size_t k, const Target& target) {
  thread_local Scratch packedScratch;
  const size_t threads = size_t(pool.threads());
  const Product product{kernels, left, right, k, size_t(atoi(getenv("KC")?getenv("KC"):"512")), target, target.c.type == DType::f32 && !target.transposed};
  const size_t most = atoi(getenv("GP")?getenv("GP"):"4");
  const size_t group = product.panel() * (right.along == 1 ? 1 : std::max<size_t>(1, std::min(most, n / product.panel() / (2 * threads))));
  const size_t panels = (n + group - 1) / group;
  const size_t mostRows = std::max(packedBytes / (product.cells() * 4), 16 * kernels.tileRows);
  const size_t blocks = (m + mostRows - 1) / mostRows;

  for (size_t b = 0; b < blocks; b++) {
    const size_t first = m * b / blocks;
    const RowBlock block(first, m * (b + 1) / blocks - first, kernels.tileRows);
    auto packed = static_cast<uint32_t*>(packedScratch.reserve(block.rows * product.cells() * 4));

    // Work so small that waking threads would cost more than it saves is one piece, which the caller runs.
    const bool small = block.rows * n * k < 100000;
    pool.forEach(block.tiles, small ? block.tiles : std::max<size_t>(1, block.tiles / (4 * threads)),
                 [&](size_t begin, size_t end) {
                   for (size_t tile = begin; tile < end; tile++) packTile(product, block, tile, packed);
                 });

    // A task is a panel, or where panels are few (or sums lie outside of C) a panel and part of the rows.
    size_t parts = product.direct ? 1 : (block.rows + summedRows - 1) / summedRows;
    if (!small && panels < 4 * threads) parts = std::max(parts, std::min(4 * threads / panels, block.rows / 96));
    parts = std::max<size_t>(1, std::min(parts, block.tiles));
    const size_t tasks = panels * parts;
    pool.forEach(tasks, small ? tasks : std::max<size_t>(1, std::min<size_t>(4, tasks / (8 * threads))), [&](size_t begin, size_t end) {
      for (size_t task = begin; task < end; task++) {
        const size_t column = task / parts * group, part = task % parts;
        multiplyPanels(product, block, packed, block.tiles * part / parts, block.tiles * (part + 1) / parts, column,
                      std::min(group, n - column));
      }
    });
  }
}

}  // namespace glulam
