// The arguments of every command by name. Made from src/commands/layouts.ts: npx vitest run commands/layouts -u
#pragma once
#include <vector>

#include "commands/commands.h"

namespace glulam {

// What JavaScript compares with its own layouts.
constexpr const char* layoutsHash = "6df47435401854dd";

static_assert(int(DType::f32) == 0, "dtype");
static_assert(int(DType::bf16) == 1, "dtype");
static_assert(int(DType::f16) == 2, "dtype");
static_assert(int(DType::i32) == 3, "dtype");
static_assert(int(Unary::neg) == 0, "Unary");
static_assert(int(Unary::exp) == 1, "Unary");
static_assert(int(Unary::log) == 2, "Unary");
static_assert(int(Unary::sqrt) == 3, "Unary");
static_assert(int(Unary::rsqrt) == 4, "Unary");
static_assert(int(Unary::sigmoid) == 5, "Unary");
static_assert(int(Binary::add) == 0, "Binary");
static_assert(int(Binary::sub) == 1, "Binary");
static_assert(int(Binary::mul) == 2, "Binary");
static_assert(int(Binary::div) == 3, "Binary");
static_assert(int(Binary::max) == 4, "Binary");
static_assert(int(Binary::greaterEqual) == 5, "Binary");
static_assert(int(Reduction::sum) == 0, "Reduction");
static_assert(int(Reduction::max) == 1, "Reduction");

struct UploadArguments {
  enum : size_t { y };  // operands
  DType type;
  size_t elements;

  explicit UploadArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    type = read.oneOf<DType>(4);
    elements = read.size();
    read.end();
  }
};

struct EmptyArguments {
  enum : size_t { y };  // operands
  DType type;
  size_t elements;

  explicit EmptyArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    type = read.oneOf<DType>(4);
    elements = read.size();
    read.end();
  }
};

struct FreeArguments {
  explicit FreeArguments(const Call& call) {
    ArgumentReader read(call, 0, false);
    read.end();
  }
};

struct WeightArguments {
  enum : size_t { y };  // operands
  DType type;
  size_t elements;
  size_t file;
  size_t offset;

  explicit WeightArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    type = read.oneOf<DType>(4);
    elements = read.size();
    file = read.size();
    offset = read.size();
    read.end();
  }
};

struct EncodedWeightArguments {
  enum : size_t { y };  // operands
  size_t format;
  size_t rows;
  size_t columns;
  size_t first;
  std::vector<size_t> places;

  explicit EncodedWeightArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    format = read.size();
    rows = read.size();
    columns = read.size();
    first = read.size();
    places = read.sizes();
    read.end();
  }
};

struct ReadArguments {
  enum : size_t { x };  // operands
  size_t bytes;

  explicit ReadArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    bytes = read.size();
    read.end();
  }
};

struct FullArguments {
  enum : size_t { y };  // operands
  size_t elements;
  double value;

  explicit FullArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    elements = read.size();
    value = read.number();
    read.end();
  }
};

// readWeight, cast
struct PartArguments {
  enum : size_t { y, x };  // operands
  DType type;
  size_t elements;
  size_t available;
  size_t first;

  explicit PartArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    type = read.oneOf<DType>(4);
    elements = read.size();
    available = read.size();
    first = read.size();
    read.end();
  }
};

struct UnaryArguments {
  enum : size_t { y, x };  // operands
  Unary operation;
  size_t elements;

  explicit UnaryArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    operation = read.oneOf<Unary>(6);
    elements = read.size();
    read.end();
  }
};

struct BinaryArguments {
  enum : size_t { y, a, b };  // operands
  Binary operation;
  size_t elementsOfA;
  size_t elementsOfB;
  std::vector<size_t> shape;
  std::vector<size_t> stridesOfA;
  std::vector<size_t> stridesOfB;

  explicit BinaryArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    operation = read.oneOf<Binary>(6);
    elementsOfA = read.size();
    elementsOfB = read.size();
    shape = read.sizes();
    stridesOfA = read.sizes();
    stridesOfB = read.sizes();
    read.end();
  }
};

struct AffineArguments {
  enum : size_t { y, x };  // operands
  size_t elements;
  double factor;
  double offset;

  explicit AffineArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    elements = read.size();
    factor = read.number();
    offset = read.number();
    read.end();
  }
};

struct SelectArguments {
  enum : size_t { y, condition, a, b };  // operands
  size_t elementsOfCondition;
  size_t elementsOfA;
  size_t elementsOfB;
  std::vector<size_t> shape;
  std::vector<size_t> stridesOfCondition;
  std::vector<size_t> stridesOfA;
  std::vector<size_t> stridesOfB;

  explicit SelectArguments(const Call& call) {
    ArgumentReader read(call, 4, false);
    elementsOfCondition = read.size();
    elementsOfA = read.size();
    elementsOfB = read.size();
    shape = read.sizes();
    stridesOfCondition = read.sizes();
    stridesOfA = read.sizes();
    stridesOfB = read.sizes();
    read.end();
  }
};

struct ReduceArguments {
  enum : size_t { y, x };  // operands
  Reduction operation;
  size_t outer;
  size_t length;
  size_t inner;

  explicit ReduceArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    operation = read.oneOf<Reduction>(2);
    outer = read.size();
    length = read.size();
    inner = read.size();
    read.end();
  }
};

// gather, embedding
struct GatherArguments {
  enum : size_t { y, table, indices };  // operands
  size_t rows;
  size_t width;
  size_t count;

  explicit GatherArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    rows = read.size();
    width = read.size();
    count = read.size();
    read.end();
  }
};

struct ScatterAddArguments {
  enum : size_t { y, indices, values };  // operands
  size_t rows;
  size_t width;
  size_t count;

  explicit ScatterAddArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    rows = read.size();
    width = read.size();
    count = read.size();
    read.end();
  }
};

// slice, transpose
struct PickArguments {
  enum : size_t { y, x };  // operands
  std::vector<size_t> shape;
  std::vector<size_t> strides;
  size_t offset;
  size_t available;

  explicit PickArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    shape = read.sizes();
    strides = read.sizes();
    offset = read.size();
    available = read.size();
    read.end();
  }
};

// concatenate, write
struct PutArguments {
  enum : size_t { target, value };  // operands
  std::vector<size_t> shape;
  std::vector<size_t> strides;
  size_t offset;
  size_t available;

  explicit PutArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    shape = read.sizes();
    strides = read.sizes();
    offset = read.size();
    available = read.size();
    read.end();
  }
};

struct ArgmaxArguments {
  enum : size_t { y, x };  // operands
  size_t rows;
  size_t columns;

  explicit ArgmaxArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    rows = read.size();
    columns = read.size();
    read.end();
  }
};

struct RandomArguments {
  enum : size_t { y };  // operands
  size_t elements;
  RandomKey key;

  explicit RandomArguments(const Call& call) {
    ArgumentReader read(call, 1, false);
    elements = read.size();
    key = read.key();
    read.end();
  }
};

// matmul, frozenLinear, tokenLosses
struct ProductArguments {
  enum : size_t { c, a, b };  // operands
  size_t batch;
  size_t m;
  size_t n;
  size_t k;
  bool transposeA;
  bool transposeB;
  double alpha;
  double beta;
  bool bfloat16;
  DType type;
  bool exists;
  size_t offset;
  size_t elements;

  explicit ProductArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    batch = read.size();
    m = read.size();
    n = read.size();
    k = read.size();
    transposeA = read.flag();
    transposeB = read.flag();
    alpha = read.number();
    beta = read.number();
    bfloat16 = read.flag();
    type = read.oneOf<DType>(4);
    exists = read.flag();
    offset = read.size();
    elements = read.size();
    read.end();
  }
};

struct AdaptedLinearArguments {
  enum : size_t { y, z, x, w, u, b, outScale, bias, v, a };  // operands
  size_t m;
  size_t n;
  size_t k;
  bool forward;
  size_t rank;
  double factor;
  bool bfloat16;
  DType type;
  DType typeOfZ;

  explicit AdaptedLinearArguments(const Call& call) {
    ArgumentReader read(call, 10, false);
    m = read.size();
    n = read.size();
    k = read.size();
    forward = read.flag();
    rank = read.size();
    factor = read.number();
    bfloat16 = read.flag();
    type = read.oneOf<DType>(4);
    typeOfZ = read.oneOf<DType>(4);
    read.end();
  }
};

struct ScaleColumnsArguments {
  enum : size_t { y, x, scale, bias };  // operands
  size_t rows;
  size_t columns;
  DType type;

  explicit ScaleColumnsArguments(const Call& call) {
    ArgumentReader read(call, 4, false);
    rows = read.size();
    columns = read.size();
    type = read.oneOf<DType>(4);
    read.end();
  }
};

struct ScaleRowsArguments {
  enum : size_t { y, x, factors };  // operands
  size_t rows;
  size_t columns;

  explicit ScaleRowsArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    rows = read.size();
    columns = read.size();
    read.end();
  }
};

struct ColumnSumsArguments {
  enum : size_t { sums, x, y };  // operands
  size_t rows;
  size_t columns;

  explicit ColumnSumsArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    rows = read.size();
    columns = read.size();
    read.end();
  }
};

struct AccumulateArguments {
  enum : size_t { target, x };  // operands
  size_t elements;

  explicit AccumulateArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    elements = read.size();
    read.end();
  }
};

struct RmsNormArguments {
  enum : size_t { y, rstd, x, weight };  // operands
  size_t rows;
  size_t width;
  double epsilon;
  DType type;

  explicit RmsNormArguments(const Call& call) {
    ArgumentReader read(call, 4, false);
    rows = read.size();
    width = read.size();
    epsilon = read.number();
    type = read.oneOf<DType>(4);
    read.end();
  }
};

struct RmsNormBackwardArguments {
  enum : size_t { dx, dWeight, dy, x, weight, rstd };  // operands
  size_t rows;
  size_t width;

  explicit RmsNormBackwardArguments(const Call& call) {
    ArgumentReader read(call, 6, false);
    rows = read.size();
    width = read.size();
    read.end();
  }
};

struct RopeArguments {
  enum : size_t { y, x, cos, sin };  // operands
  size_t rows;
  size_t heads;
  size_t headSize;
  size_t pairs;
  DType type;
  bool inverse;

  explicit RopeArguments(const Call& call) {
    ArgumentReader read(call, 4, false);
    rows = read.size();
    heads = read.size();
    headSize = read.size();
    pairs = read.size();
    type = read.oneOf<DType>(4);
    inverse = read.flag();
    read.end();
  }
};

struct AttentionArguments {
  enum : size_t { out, lse, q, k, v };  // operands
  size_t queries;
  size_t keys;
  size_t heads;
  size_t keyValueHeads;
  size_t headSize;
  size_t window;
  double scale;
  double softCap;
  std::vector<size_t> segments;
  DType type;

  explicit AttentionArguments(const Call& call) {
    ArgumentReader read(call, 5, false);
    queries = read.size();
    keys = read.size();
    heads = read.size();
    keyValueHeads = read.size();
    headSize = read.size();
    window = read.size();
    scale = read.number();
    softCap = read.number();
    segments = read.sizes();
    type = read.oneOf<DType>(4);
    read.end();
  }
};

struct AttentionBackwardArguments {
  enum : size_t { dq, dk, dv, dOut, q, k, v, out, lse };  // operands
  size_t queries;
  size_t keys;
  size_t heads;
  size_t keyValueHeads;
  size_t headSize;
  size_t window;
  double scale;
  double softCap;
  std::vector<size_t> segments;

  explicit AttentionBackwardArguments(const Call& call) {
    ArgumentReader read(call, 9, false);
    queries = read.size();
    keys = read.size();
    heads = read.size();
    keyValueHeads = read.size();
    headSize = read.size();
    window = read.size();
    scale = read.number();
    softCap = read.number();
    segments = read.sizes();
    read.end();
  }
};

// swiglu, gegluTanh
struct GatedArguments {
  enum : size_t { y, gate, up };  // operands
  size_t elements;
  DType type;

  explicit GatedArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    elements = read.size();
    type = read.oneOf<DType>(4);
    read.end();
  }
};

// swigluBackward, gegluTanhBackward
struct GatedBackwardArguments {
  enum : size_t { dGate, dUp, dy, gate, up };  // operands
  size_t elements;

  explicit GatedBackwardArguments(const Call& call) {
    ArgumentReader read(call, 5, false);
    elements = read.size();
    read.end();
  }
};

struct DropoutArguments {
  enum : size_t { y, x };  // operands
  size_t elements;
  double rate;
  RandomKey key;

  explicit DropoutArguments(const Call& call) {
    ArgumentReader read(call, 2, false);
    elements = read.size();
    rate = read.number();
    key = read.key();
    read.end();
  }
};

struct CrossEntropyArguments {
  enum : size_t { losses, logits, targets };  // operands
  size_t rows;
  size_t vocabulary;
  size_t first;
  size_t available;
  double softCap;
  bool gradient;

  explicit CrossEntropyArguments(const Call& call) {
    ArgumentReader read(call, 3, false);
    rows = read.size();
    vocabulary = read.size();
    first = read.size();
    available = read.size();
    softCap = read.number();
    gradient = read.flag();
    read.end();
  }
};

struct AdamWArguments {
  enum : size_t { tensors };  // operands
  double beta1;
  double beta2;
  double epsilon;
  double step;
  double gradientScale;
  std::vector<size_t> elements;
  std::vector<double> learningRates;
  std::vector<double> weightDecays;

  explicit AdamWArguments(const Call& call) {
    ArgumentReader read(call, 0, true);
    beta1 = read.number();
    beta2 = read.number();
    epsilon = read.number();
    step = read.number();
    gradientScale = read.number();
    elements = read.sizes();
    learningRates = read.numbers();
    weightDecays = read.numbers();
    read.end();
  }
};

struct SumOfSquaresArguments {
  enum : size_t { sum, tensors };  // operands
  std::vector<size_t> elements;

  explicit SumOfSquaresArguments(const Call& call) {
    ArgumentReader read(call, 1, true);
    elements = read.sizes();
    read.end();
  }
};

}  // namespace glulam
