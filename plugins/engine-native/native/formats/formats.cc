#include "formats/formats.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace glulam {

const float nf4Values[16] = {-1.0f,
                             -0.6961928009986877f,
                             -0.5250730514526367f,
                             -0.39491748809814453f,
                             -0.28444138169288635f,
                             -0.18477343022823334f,
                             -0.09105003625154495f,
                             0.0f,
                             0.07958029955625534f,
                             0.16093020141124725f,
                             0.24611230194568634f,
                             0.33791524171829224f,
                             0.44070982933044434f,
                             0.5626170039176941f,
                             0.7229568362236023f,
                             1.0f};

const FormatShape& shapeOf(Format format) {
  static const FormatShape shapes[formatCount] = {
      {"float32", 1, 1, {4, 0}, false},
      {"bfloat16", 1, 1, {2, 0}, false},
      {"float16", 1, 1, {2, 0}, false},
      {"q8_0", 32, 1, {34, 0}, false},
      {"nf4-float32", 64, 2, {32, 4}, true},
      {"nf4-bfloat16", 64, 2, {32, 4}, true},
      {"nf4-float16", 64, 2, {32, 4}, true},
  };
  const size_t number = size_t(format);
  if (number >= formatCount) throw std::invalid_argument("there is no such storage format");
  return shapes[number];
}

size_t Encoded::bytesOfPart(size_t part) const {
  const FormatShape& shape = shapeOf(format);
  if (!order.empty() && order.size() != rows) {
    throw std::invalid_argument("the row order has " + std::to_string(order.size()) + " entries; expected " +
                                std::to_string(rows));
  }
  size_t last = rows;
  for (const int32_t row : order) {
    if (row < 0) throw std::invalid_argument("a row's place is negative");
    last = std::max(last, size_t(row) + 1);
  }
  // Sizes beyond any file: what follows cannot wrap around.
  constexpr size_t most = size_t(1) << 48;
  if (first > most || last > most || (columns > 0 && last > most / columns)) {
    throw std::invalid_argument("a weight is larger than any file");
  }
  const size_t end = first + last * columns;
  if (shape.packs && part == 0) return (end + 1) / 2;
  return (end + shape.elements - 1) / shape.elements * shape.bytes[part];
}

}  // namespace glulam
