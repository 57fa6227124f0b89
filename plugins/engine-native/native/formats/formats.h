// How weights are stored in checkpoints: element after element, or in blocks with scales. See packages/files/src/storage, which says
// what the values are; both give the same bits.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace glulam {

// nf4: bitsandbytes' 4 bits, rounded to the type named.
enum class Format : uint8_t { f32, bf16, f16, q8_0, nf4F32, nf4Bf16, nf4F16 };
constexpr size_t formatCount = 7;
constexpr size_t mostParts = 2;

struct FormatShape {
  const char* name;  // StorageFormat.kind
  size_t elements;   // of a block
  size_t parts;
  size_t bytes[mostParts];  // of a block in each part
  bool packs;               // part 0 of a short block has a byte for two elements; else as many as a whole block
};

const FormatShape& shapeOf(Format format);

// A matrix whose rows are decoded as they are read. A row may begin within a block.
struct Encoded {
  Format format;
  size_t rows, columns;
  size_t first;                // the stored element that row 0 begins with
  std::vector<int32_t> order;  // row i lies where row order[i] would; empty: in their order
  const uint8_t* parts[mostParts];

  size_t begin(size_t row) const { return first + (order.empty() ? row : size_t(order[row])) * columns; }
  // Bytes that a part must have. Throws std::invalid_argument if `order` is invalid.
  size_t bytesOfPart(size_t part) const;
};

// The 16 values of NF4 (Dettmers et al. 2023, appendix E).
extern const float nf4Values[16];

}  // namespace glulam
