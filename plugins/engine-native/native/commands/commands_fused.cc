// The named operations of a decoder layer, of the loss and of the optimizer.
#include <cstring>
#include <memory>
#include <stdexcept>

#include "commands/command_groups.h"

namespace glulam {
namespace {

Values valuesOf(const Tensor& x) {
  if (x.type != DType::f32 && x.type != DType::bf16) throw std::invalid_argument("expected float32 or bfloat16");
  return {x.data, x.type};
}
ValuesOut outOf(const Tensor& y) { return {y.data, y.type}; }

// A tensor's elements as float32, in memory of its own where they are stored otherwise.
class Widened {
 public:
  Widened(const Call& call, const Tensor& x) : data_(x.as<float>()) {
    if (x.type == DType::f32) return;
    copy_.reset(new float[x.elements]);
    convert(call, x, 0, x.elements, copy_.get(), DType::f32);
    data_ = copy_.get();
  }
  const float* data() const { return data_; }

 private:
  std::unique_ptr<float[]> copy_;
  const float* data_;
};

void rmsNorm(const Call& call) {
  const RmsNormArguments given(call);
  const size_t rows = given.rows, width = given.width;
  const Widened x(call, call.in(given.x, rows * width));
  const float* weight = call.floats(given.weight, width);
  const Tensor y = call.make(given.y, given.type, rows * width);
  float* rstd = call.make(given.rstd, DType::f32, rows).as<float>();
  call.kernels.rmsNorm(call.pool, outOf(y), rstd, x.data(), weight, rows, width, float(given.epsilon));
}

void rmsNormBackward(const Call& call) {
  const RmsNormBackwardArguments given(call);
  const size_t rows = given.rows, width = given.width;
  const float* dy = call.floats(given.dy, rows * width);
  const Widened x(call, call.in(given.x, rows * width));
  const float *weight = call.floats(given.weight, width), *rstd = call.floats(given.rstd, rows);
  float* dx = call.make(given.dx, DType::f32, rows * width).as<float>();
  float* dWeight = call.has(given.dWeight) ? call.make(given.dWeight, DType::f32, width).as<float>() : nullptr;
  call.kernels.rmsNormBackward(call.pool, dx, dWeight, dy, x.data(), weight, rstd, rows, width);
}

void rope(const Call& call) {
  const RopeArguments given(call);
  const size_t rows = given.rows, heads = given.heads, headSize = given.headSize, pairs = given.pairs;
  if (2 * pairs > headSize) throw std::invalid_argument("a head has fewer elements than are to be turned");
  const Tensor x = call.in(given.x, rows * heads * headSize);
  const float *cos = call.floats(given.cos, rows * pairs), *sin = call.floats(given.sin, rows * pairs);
  const Tensor y = call.make(given.y, given.type, x.elements);
  call.kernels.rope(call.pool, outOf(y), valuesOf(x), cos, sin, rows, heads, headSize, pairs, given.inverse);
}

// What attention and its backward have in common.
struct AttentionParams {
  size_t queries, keys, width, keyWidth, covered = 0;
  std::vector<Segment> segments;
  Attention shape;

  template <class Arguments>
  explicit AttentionParams(const Arguments& given) : queries(given.queries), keys(given.keys) {
    shape = {given.heads, given.keyValueHeads, given.headSize, given.window, float(given.scale), float(given.softCap),
             nullptr, 0};
    width = shape.heads * shape.headSize;
    keyWidth = shape.keyValueHeads * shape.headSize;
    const std::vector<size_t>& all = given.segments;
    if (all.size() % 4 != 0) throw std::logic_error("a segment has four numbers");
    for (size_t i = 0; i < all.size(); i += 4) {
      const Segment segment{all[i], all[i + 1], all[i + 2], all[i + 3]};
      if (segment.queryStart + segment.queryLength > queries || segment.keyStart + segment.keyLength > keys ||
          segment.queryLength > segment.keyLength) {
        throw std::invalid_argument("a segment reaches beyond its queries or keys");
      }
      covered += segment.queryLength;
      segments.push_back(segment);
    }
    if (shape.keyValueHeads == 0 || shape.heads % shape.keyValueHeads != 0) {
      throw std::invalid_argument("heads are no multiple of the key and value heads");
    }
    shape.segments = segments.data();
    shape.segmentCount = segments.size();
  }
};

void attention(const Call& call) {
  const AttentionArguments given(call);
  const AttentionParams params(given);
  const Tensor q = call.in(given.q, params.queries * params.width);
  const Tensor k = call.in(given.k, params.keys * params.keyWidth), v = call.in(given.v, params.keys * params.keyWidth);
  const Tensor out = call.make(given.out, given.type, q.elements);
  float* lse = call.make(given.lse, DType::f32, params.queries * params.shape.heads).as<float>();
  if (params.covered < params.queries) {  // rows of padding
    std::memset(out.data, 0, out.elements * bytesOf(out.type));
    std::memset(lse, 0, params.queries * params.shape.heads * sizeof(float));
  }
  call.kernels.attention(call.pool, outOf(out), lse, valuesOf(q), valuesOf(k), valuesOf(v), params.shape);
}

void attentionBackward(const Call& call) {
  const AttentionBackwardArguments given(call);
  const AttentionParams params(given);
  const size_t elements = params.queries * params.width, keyElements = params.keys * params.keyWidth;
  const float* dOut = call.floats(given.dOut, elements);
  const Tensor q = call.in(given.q, elements), k = call.in(given.k, keyElements), v = call.in(given.v, keyElements);
  const Tensor out = call.in(given.out, elements);
  const float* lse = call.floats(given.lse, params.queries * params.shape.heads);
  const auto zeros = [&](size_t operand, size_t size) {
    float* gradient = call.make(operand, DType::f32, size).as<float>();
    call.kernels.fill(call.pool, gradient, 0, size);
    return gradient;
  };
  float* dq = zeros(given.dq, elements);
  float* dk = zeros(given.dk, keyElements);
  float* dv = zeros(given.dv, keyElements);
  call.kernels.attentionBackward(call.pool, dq, dk, dv, dOut, valuesOf(out), lse,
                                 valuesOf(q), valuesOf(k), valuesOf(v), params.shape);
}

template <void (*Kernels::*kernel)(Pool&, ValuesOut, Values, Values, size_t)>
void gated(const Call& call) {
  const GatedArguments given(call);
  const Tensor gate = call.in(given.gate, given.elements), up = call.in(given.up, given.elements);
  const Tensor y = call.make(given.y, given.type, given.elements);
  (call.kernels.*kernel)(call.pool, outOf(y), valuesOf(gate), valuesOf(up), given.elements);
}

template <void (*Kernels::*kernel)(Pool&, float*, float*, const float*, Values, Values, size_t)>
void gatedBackward(const Call& call) {
  const GatedBackwardArguments given(call);
  const size_t elements = given.elements;
  const float* dy = call.floats(given.dy, elements);
  const Tensor gate = call.in(given.gate, elements), up = call.in(given.up, elements);
  float* dGate = call.make(given.dGate, DType::f32, elements).as<float>();
  float* dUp = call.make(given.dUp, DType::f32, elements).as<float>();
  (call.kernels.*kernel)(call.pool, dGate, dUp, dy, valuesOf(gate), valuesOf(up), elements);
}

void dropout(const Call& call) {
  const DropoutArguments given(call);
  const Tensor x = call.in(given.x, given.elements);
  const Tensor y = call.make(given.y, DType::f32, given.elements);
  call.kernels.dropout(call.pool, outOf(y), valuesOf(x), given.elements, float(given.rate), given.key);
}

void crossEntropy(const Call& call) {
  const CrossEntropyArguments given(call);
  const size_t rows = given.rows, vocabulary = given.vocabulary, first = given.first;
  float* losses = call.own(given.losses, given.available, DType::f32).as<float>();
  if (first + rows > given.available) throw std::logic_error("losses reach beyond their tensor");
  float* logits = call.own(given.logits, rows * vocabulary, DType::f32).as<float>();
  const int32_t* targets = call.in(given.targets, rows, DType::i32).as<int32_t>();
  call.kernels.crossEntropy(call.pool, losses + first, logits, targets, rows, vocabulary, float(given.softCap),
                            given.gradient);
}

void adamW(const Call& call) {
  const AdamWArguments given(call);
  const size_t count = given.elements.size();
  if (call.idCount() != 4 * count || given.learningRates.size() != count || given.weightDecays.size() != count) {
    throw std::logic_error("an update has four tensors, a learning rate and a weight decay");
  }
  std::vector<AdamWTensor> tensors;
  for (size_t update = 0; update < count; update++) {
    const size_t i = given.tensors + 4 * update, elements = given.elements[update];
    const auto changed = [&](size_t operand) { return call.own(operand, elements, DType::f32).as<float>(); };
    tensors.push_back({changed(i), call.floats(i + 1, elements), changed(i + 2), changed(i + 3), elements,
                       float(given.learningRates[update]), float(given.weightDecays[update])});
  }
  const AdamWStep step{given.beta1, given.beta2, given.epsilon, given.gradientScale, int64_t(given.step)};
  call.kernels.adamW(call.pool, tensors.data(), tensors.size(), step);
}

void sumOfSquares(const Call& call) {
  const SumOfSquaresArguments given(call);
  const size_t count = given.elements.size();
  if (call.idCount() != given.tensors + count) throw std::logic_error("there are not as many lengths as tensors");
  std::vector<FloatSpan> spans;
  for (size_t i = 0; i < count; i++) spans.push_back({call.floats(given.tensors + i, given.elements[i]), given.elements[i]});
  const double sum = call.kernels.sumOfSquares(call.pool, spans.data(), spans.size());
  *call.make(given.sum, DType::f32, 1).as<float>() = float(sum);
}

}  // namespace

std::vector<Operation> fusedOperations() {
  return {
      {"rmsNorm", rmsNorm},     {"rmsNormBackward", rmsNormBackward},     {"rope", rope},
      {"attention", attention}, {"attentionBackward", attentionBackward},
      {"swiglu", gated<&Kernels::swiglu>},       {"swigluBackward", gatedBackward<&Kernels::swigluBackward>},
      {"gegluTanh", gated<&Kernels::gegluTanh>}, {"gegluTanhBackward", gatedBackward<&Kernels::gegluTanhBackward>},
      {"dropout", dropout},     {"crossEntropy", crossEntropy},
      {"adamW", adamW},         {"sumOfSquares", sumOfSquares},
  };
}

}  // namespace glulam
