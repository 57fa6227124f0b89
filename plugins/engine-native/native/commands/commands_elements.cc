// What goes element by element, along one axis, or from place to place.
#include <cstring>
#include <stdexcept>

#include "commands/command_groups.h"

namespace glulam {

void convert(const Call& call, const Tensor& x, size_t first, size_t elements, void* out, DType type) {
  if (first > x.elements || elements > x.elements - first) throw std::logic_error("elements beyond the end were asked for");
  if (elements == 0) return;
  if (x.encoded) {
    if (type != DType::f32) throw std::logic_error("an encoded weight is read as float32");
    return decodeElements(call.pool, call.choice.others, *x.encoded, first, elements, static_cast<float*>(out));
  }
  call.kernels.convert(call.pool, out, type, x.as<char>() + first * bytesOf(x.type), x.type, elements);
}

namespace {

// A walk from the params: rank, shape. No axis is the same as one of length 1.
struct Region {
  Walk walk{};
  size_t elements = 1;
  size_t next;  // the param after it

  Region(const Call& call, size_t at) {
    const size_t rank = call.size(at);
    if (rank > size_t(maxRank)) {
      throw std::invalid_argument(std::to_string(rank) + " axes; " + std::to_string(maxRank) + " can be walked");
    }
    walk.rank = rank == 0 ? 1 : int(rank);
    walk.shape[0] = 1;
    for (size_t axis = 0; axis < rank; axis++) elements *= walk.shape[axis] = call.size(at + 1 + axis);
    next = at + 1 + rank;
    given_ = rank;
  }

  // One stride an axis from the params; checks that the last element reached lies in the `limit` of a tensor.
  Strides strides(const Call& call, size_t at, size_t offset, size_t limit) const {
    Strides result{};
    size_t last = offset;
    for (size_t axis = 0; axis < given_; axis++) {
      result.of[axis] = call.size(at + axis);
      if (walk.shape[axis] > 0) last += (walk.shape[axis] - 1) * result.of[axis];
    }
    if (elements > 0 && last >= limit) throw std::logic_error("a region reaches beyond its tensor");
    return result;
  }

  Strides contiguous() const {
    Strides result{};
    size_t step = 1;
    for (int axis = walk.rank - 1; axis >= 0; axis--) {
      result.of[axis] = step;
      step *= walk.shape[axis];
    }
    return result;
  }

  size_t rank() const { return given_; }

 private:
  size_t given_;
};

// [out] [type, elements, value]
void full(const Call& call) {
  const Tensor& out = call.make(0, DType::f32, call.size(1));
  call.kernels.fill(call.pool, out.as<float>(), float(call.number(2)), out.elements);
}

// [out, x] [type, elements, elements of x, first]
void castPart(const Call& call) {
  const Tensor x = call.weight(1, call.size(2));
  const Tensor& out = call.make(0, call.type(0), call.size(1));
  convert(call, x, call.size(3), out.elements, out.data, out.type);
}

// [y, x] [operation, elements]
void unary(const Call& call) {
  const size_t elements = call.size(1);
  const float* x = call.floats(1, elements);
  call.kernels.unary(call.pool, Unary(call.size(0)), call.make(0, DType::f32, elements).as<float>(), x, elements);
}

// [y, a, b] [operation, elements of a, of b, rank, shape, strides of a, of b]
void binary(const Call& call) {
  const float *a = call.floats(1, call.size(1)), *b = call.floats(2, call.size(2));
  const Region region(call, 3);
  const Strides aStrides = region.strides(call, region.next, 0, call.size(1));
  const Strides bStrides = region.strides(call, region.next + region.rank(), 0, call.size(2));
  float* y = call.make(0, DType::f32, region.elements).as<float>();
  if (region.elements == 0) return;
  call.kernels.binary(call.pool, Binary(call.size(0)), y, a, b, region.walk, aStrides, bStrides);
}

// [y, x] [elements, factor, offset]
void affine(const Call& call) {
  const size_t elements = call.size(0);
  const float* x = call.floats(1, elements);
  float* y = call.make(0, DType::f32, elements).as<float>();
  call.kernels.affine(call.pool, y, x, float(call.number(1)), float(call.number(2)), elements);
}

// [y, condition, a, b] [elements of the three, rank, shape, strides of the three]
void select(const Call& call) {
  const float* x[3];
  for (size_t i = 0; i < 3; i++) x[i] = call.floats(i + 1, call.size(i));
  const Region region(call, 3);
  Strides strides[3];
  for (size_t i = 0; i < 3; i++) strides[i] = region.strides(call, region.next + i * region.rank(), 0, call.size(i));
  float* y = call.make(0, DType::f32, region.elements).as<float>();
  if (region.elements == 0) return;
  call.kernels.select(call.pool, y, x[0], x[1], x[2], region.walk, strides[0], strides[1], strides[2]);
}

// [y, x] [operation, outer, length, inner]
void reduce(const Call& call) {
  const size_t outer = call.size(1), length = call.size(2), inner = call.size(3);
  const float* x = call.floats(1, outer * length * inner);
  float* y = call.make(0, DType::f32, outer * inner).as<float>();
  if (outer * inner == 0) return;
  call.kernels.reduce(call.pool, Reduction(call.size(0)), y, x, outer, length, inner);
}

void gatherEncoded(const Call& call, float* y, const Tensor& table, size_t rows, size_t width, const int32_t* indices,
                   size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (indices[i] < 0 || size_t(indices[i]) >= rows) {
      throw std::invalid_argument("index " + std::to_string(indices[i]) + " at " + std::to_string(i) + " of " +
                                  std::to_string(rows) + " rows");
    }
    convert(call, table, size_t(indices[i]) * width, width, y + i * width, DType::f32);
  }
}

// [y, table, indices] [rows, width, count]
void gather(const Call& call) {
  const size_t rows = call.size(0), width = call.size(1), count = call.size(2);
  const Tensor table = call.weight(1, rows * width);
  const int32_t* indices = call.in(2, count, DType::i32).as<int32_t>();
  float* y = call.make(0, DType::f32, count * width).as<float>();
  if (table.encoded) return gatherEncoded(call, y, table, rows, width, indices, count);
  call.kernels.gatherRows(call.pool, y, table.data, table.type, rows, width, indices, count);
}

// [y, indices, values] [rows, width, count]
void scatterAdd(const Call& call) {
  const size_t rows = call.size(0), width = call.size(1), count = call.size(2);
  const int32_t* indices = call.in(1, count, DType::i32).as<int32_t>();
  const float* values = call.floats(2, count * width);
  float* y = call.make(0, DType::f32, rows * width).as<float>();
  call.kernels.fill(call.pool, y, 0, rows * width);
  call.kernels.scatterAddRows(call.pool, y, rows, width, values, indices, count);
}

// [y, x] [rank, shape, strides of x, offset, elements of x]
void pick(const Call& call) {
  const Region region(call, 0);
  const size_t offset = call.size(region.next + region.rank()), limit = call.size(region.next + region.rank() + 1);
  const Tensor x = call.in(1, limit);
  const Strides strides = region.strides(call, region.next, offset, limit);
  const Tensor& y = call.make(0, x.type, region.elements);
  if (region.elements == 0) return;
  const size_t bytes = bytesOf(x.type);
  call.kernels.stridedCopy(call.pool, y.data, x.as<char>() + offset * bytes, bytes, region.walk, region.contiguous(),
                           strides);
}

// [target, value] [rank, shape of value, strides of target, offset, elements of target]
void put(const Call& call) {
  const Region region(call, 0);
  const size_t offset = call.size(region.next + region.rank()), limit = call.size(region.next + region.rank() + 1);
  const Tensor& target = call.own(0, limit);
  const Tensor& value = call.in(1, region.elements, target.type);
  const Strides strides = region.strides(call, region.next, offset, limit);
  if (region.elements == 0) return;
  const size_t bytes = bytesOf(target.type);
  call.kernels.stridedCopy(call.pool, target.as<char>() + offset * bytes, value.data, bytes, region.walk, strides,
                           region.contiguous());
}

// [y, x] [rows, columns]
void argmax(const Call& call) {
  const size_t rows = call.size(0), columns = call.size(1);
  const float* x = call.floats(1, rows * columns);
  int32_t* y = call.make(0, DType::i32, rows).as<int32_t>();
  if (rows > 0) call.kernels.argmax(call.pool, y, x, rows, columns);
}

// [y] [elements, key]
void random(const Call& call) {
  float* y = call.make(0, DType::f32, call.size(0)).as<float>();
  call.kernels.random(call.pool, y, call.size(0), keyAt(call, 1));
}

}  // namespace

RandomKey keyAt(const Call& call, size_t at) {
  return {uint32_t(call.size(at)), uint32_t(call.size(at + 1)), uint32_t(call.size(at + 2)),
          uint32_t(call.size(at + 3))};
}

std::vector<Operation> elementOperations() {
  return {
      {"full", full},     {"readWeight", castPart}, {"cast", castPart},         {"unary", unary},
      {"binary", binary}, {"affine", affine},       {"select", select},         {"reduce", reduce},
      {"gather", gather}, {"embedding", gather},    {"scatterAdd", scatterAdd}, {"slice", pick},
      {"transpose", pick}, {"concatenate", put},    {"write", put},             {"argmax", argmax},
      {"random", random},
  };
}

}  // namespace glulam
