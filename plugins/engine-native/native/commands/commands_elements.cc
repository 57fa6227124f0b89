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

// A walk over a shape. No axis is the same as one of length 1.
struct Region {
  Walk walk{};
  size_t elements = 1;

  explicit Region(const std::vector<size_t>& shape) : rank_(shape.size()) {
    if (rank_ > size_t(maxRank)) {
      throw std::invalid_argument(std::to_string(rank_) + " axes; " + std::to_string(maxRank) + " can be walked");
    }
    walk.rank = rank_ == 0 ? 1 : int(rank_);
    walk.shape[0] = 1;
    for (size_t axis = 0; axis < rank_; axis++) elements *= walk.shape[axis] = shape[axis];
  }

  // One stride an axis; checks that the last element reached lies in the `available` of a tensor.
  Strides strides(const std::vector<size_t>& given, size_t offset, size_t available) const {
    if (given.size() != rank_) throw std::logic_error("a region has not one stride an axis");
    Strides result{};
    size_t last = offset;
    for (size_t axis = 0; axis < rank_; axis++) {
      result.of[axis] = given[axis];
      if (walk.shape[axis] > 0) last += (walk.shape[axis] - 1) * result.of[axis];
    }
    if (elements > 0 && last >= available) throw std::logic_error("a region reaches beyond its tensor");
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

 private:
  size_t rank_;
};

void full(const Call& call) {
  const FullArguments given(call);
  const Tensor& out = call.make(given.y, DType::f32, given.elements);
  call.kernels.fill(call.pool, out.as<float>(), float(given.value), out.elements);
}

void castPart(const Call& call) {
  const PartArguments given(call);
  const Tensor x = call.weight(given.x, given.available);
  const Tensor& out = call.make(given.y, given.type, given.elements);
  convert(call, x, given.first, out.elements, out.data, out.type);
}

void unary(const Call& call) {
  const UnaryArguments given(call);
  const float* x = call.floats(given.x, given.elements);
  float* y = call.make(given.y, DType::f32, given.elements).as<float>();
  call.kernels.unary(call.pool, given.operation, y, x, given.elements);
}

void binary(const Call& call) {
  const BinaryArguments given(call);
  const float *a = call.floats(given.a, given.elementsOfA), *b = call.floats(given.b, given.elementsOfB);
  const Region region(given.shape);
  const Strides aStrides = region.strides(given.stridesOfA, 0, given.elementsOfA);
  const Strides bStrides = region.strides(given.stridesOfB, 0, given.elementsOfB);
  float* y = call.make(given.y, DType::f32, region.elements).as<float>();
  if (region.elements == 0) return;
  call.kernels.binary(call.pool, given.operation, y, a, b, region.walk, aStrides, bStrides);
}

void affine(const Call& call) {
  const AffineArguments given(call);
  const float* x = call.floats(given.x, given.elements);
  float* y = call.make(given.y, DType::f32, given.elements).as<float>();
  call.kernels.affine(call.pool, y, x, float(given.factor), float(given.offset), given.elements);
}

void select(const Call& call) {
  const SelectArguments given(call);
  const float* condition = call.floats(given.condition, given.elementsOfCondition);
  const float *a = call.floats(given.a, given.elementsOfA), *b = call.floats(given.b, given.elementsOfB);
  const Region region(given.shape);
  const Strides ofCondition = region.strides(given.stridesOfCondition, 0, given.elementsOfCondition);
  const Strides ofA = region.strides(given.stridesOfA, 0, given.elementsOfA);
  const Strides ofB = region.strides(given.stridesOfB, 0, given.elementsOfB);
  float* y = call.make(given.y, DType::f32, region.elements).as<float>();
  if (region.elements == 0) return;
  call.kernels.select(call.pool, y, condition, a, b, region.walk, ofCondition, ofA, ofB);
}

void reduce(const Call& call) {
  const ReduceArguments given(call);
  const size_t outer = given.outer, length = given.length, inner = given.inner;
  const float* x = call.floats(given.x, outer * length * inner);
  float* y = call.make(given.y, DType::f32, outer * inner).as<float>();
  if (outer * inner == 0) return;
  call.kernels.reduce(call.pool, given.operation, y, x, outer, length, inner);
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

void gather(const Call& call) {
  const GatherArguments given(call);
  const size_t rows = given.rows, width = given.width, count = given.count;
  const Tensor table = call.weight(given.table, rows * width);
  const int32_t* indices = call.in(given.indices, count, DType::i32).as<int32_t>();
  float* y = call.make(given.y, DType::f32, count * width).as<float>();
  if (table.encoded) return gatherEncoded(call, y, table, rows, width, indices, count);
  call.kernels.gatherRows(call.pool, y, table.data, table.type, rows, width, indices, count);
}

void scatterAdd(const Call& call) {
  const ScatterAddArguments given(call);
  const size_t rows = given.rows, width = given.width, count = given.count;
  const int32_t* indices = call.in(given.indices, count, DType::i32).as<int32_t>();
  const float* values = call.floats(given.values, count * width);
  float* y = call.make(given.y, DType::f32, rows * width).as<float>();
  call.kernels.fill(call.pool, y, 0, rows * width);
  call.kernels.scatterAddRows(call.pool, y, rows, width, values, indices, count);
}

void pick(const Call& call) {
  const PickArguments given(call);
  const Region region(given.shape);
  const Tensor x = call.in(given.x, given.available);
  const Strides strides = region.strides(given.strides, given.offset, given.available);
  const Tensor& y = call.make(given.y, x.type, region.elements);
  if (region.elements == 0) return;
  const size_t bytes = bytesOf(x.type);
  call.kernels.stridedCopy(call.pool, y.data, x.as<char>() + given.offset * bytes, bytes, region.walk, region.contiguous(),
                           strides);
}

void put(const Call& call) {
  const PutArguments given(call);
  const Region region(given.shape);
  const Tensor& target = call.own(given.target, given.available);
  const Tensor& value = call.in(given.value, region.elements, target.type);
  const Strides strides = region.strides(given.strides, given.offset, given.available);
  if (region.elements == 0) return;
  const size_t bytes = bytesOf(target.type);
  call.kernels.stridedCopy(call.pool, target.as<char>() + given.offset * bytes, value.data, bytes, region.walk, strides,
                           region.contiguous());
}

void argmax(const Call& call) {
  const ArgmaxArguments given(call);
  const float* x = call.floats(given.x, given.rows * given.columns);
  int32_t* y = call.make(given.y, DType::i32, given.rows).as<int32_t>();
  if (given.rows > 0) call.kernels.argmax(call.pool, y, x, given.rows, given.columns);
}

void random(const Call& call) {
  const RandomArguments given(call);
  float* y = call.make(given.y, DType::f32, given.elements).as<float>();
  call.kernels.random(call.pool, y, given.elements, given.key);
}

}  // namespace

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
