// Products against naive loops in double precision: `gemm_test [ISA [SHARE]]`, by default all the machine
// has. With a share only one random shape in so many is tried, for emulators and sanitizers.
// What must not be read (padding between rows, C where beta = 0) holds NaN; what must not be written is checked.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gemm/gemm.h"
#include "gemm/gemm_convert.h"

using namespace glulam;

namespace {

int passed = 0, failed = 0;

void expect(bool good, const std::string& what) {
  good ? passed++ : failed++;
  if (!good && failed <= 20) std::printf("FAILED %s\n", what.c_str());
}

class Random {  // SplitMix64 (Steele, Lea, Flood, 2014)
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return size_t(next() % n); }
  float uniform() { return float(int64_t(next() >> 40) - (1 << 23)) * 0x1p-23f; }  // [-1, 1)
  template <class T, size_t N>
  T pick(const T (&from)[N]) {
    return from[below(N)];
  }

 private:
  uint64_t state_;
};

uint16_t halfOf(Random& random) {  // a finite float16, now and then subnormal
  return uint16_t((random.next() & 0x83ff) | (random.below(20) == 0 ? 0 : (8 + random.below(7)) << 10));
}

void putNan(char* at, DType type) {
  const uint32_t nan32 = 0x7fc12345;
  const uint16_t nan16 = type == DType::bf16 ? 0x7fc1 : 0x7e01;
  if (type == DType::f32) std::memcpy(at, &nan32, 4);
  else std::memcpy(at, &nan16, 2);
}

struct Operand {
  std::vector<char> bytes;
  Matrix matrix;

  // `turned`: columns lie one after another. The first element lies `shift` bytes from an aligned address. The last
  // row has no padding, so that a sanitizer sees a read beyond it.
  Operand(Random& random, size_t rows, size_t cols, DType type, bool turned, size_t padding, size_t shift) {
    const size_t outer = turned ? cols : rows, inner = turned ? rows : cols, stride = inner + padding;
    const size_t elements = outer && inner ? (outer - 1) * stride + inner : 0, size = bytesOf(type);
    bytes.resize(shift + elements * size);
    for (size_t i = 0; i < elements; i++) {
      char* at = bytes.data() + shift + i * size;
      if (i % stride >= inner) {
        putNan(at, type);
      } else if (type == DType::f16) {
        const uint16_t half = halfOf(random);
        std::memcpy(at, &half, 2);
      } else {
        writeElement(at, type, random.uniform());
      }
    }
    bytes.shrink_to_fit();
    matrix = {bytes.data() + shift, type, rows, cols, turned ? 1 : stride, turned ? stride : 1};
  }

  char* at(size_t row, size_t col) {
    return static_cast<char*>(const_cast<void*>(matrix.data)) +
           (row * matrix.rowStride + col * matrix.colStride) * bytesOf(matrix.type);
  }
  double value(size_t row, size_t col, bool rounded) {
    const float v = readElement(at(row, col), matrix.type);
    return rounded ? widenBfloat16(roundToBfloat16(v)) : v;
  }
};

struct Result {
  static constexpr size_t guard = 80;  // elements before the first and after the last row
  std::vector<char> bytes, before;
  MatrixOut out;

  Result(Random& random, size_t rows, size_t cols, DType type, size_t padding, bool poisoned) {
    const size_t stride = cols + padding, size = bytesOf(type);
    bytes.resize((2 * guard + rows * stride) * size);
    for (size_t i = 0; i < bytes.size() / size; i++) putNan(&bytes[i * size], type);
    out = {bytes.data() + guard * size, type, rows, cols, stride};
    for (size_t r = 0; r < rows && !poisoned; r++)
      for (size_t c = 0; c < cols; c++) writeElement(at(r, c), type, random.uniform());
    before = bytes;
  }

  char* at(size_t row, size_t col) {
    return static_cast<char*>(out.data) + (row * out.rowStride + col) * bytesOf(out.type);
  }
  float value(size_t row, size_t col) { return readElement(at(row, col), out.type); }
  float valueBefore(size_t row, size_t col) {
    return readElement(before.data() + (at(row, col) - bytes.data()), out.type);
  }
  void reset() { std::memcpy(bytes.data(), before.data(), bytes.size()); }

  bool surroundingsUntouched() {
    const size_t size = bytesOf(out.type);
    const auto same = [&](size_t from, size_t to) {
      return std::memcmp(&bytes[from * size], &before[from * size], (to - from) * size) == 0;
    };
    bool good = same(0, guard) && same(guard + out.rows * out.rowStride, bytes.size() / size);
    for (size_t r = 0; r < out.rows && out.rowStride > out.cols; r++) {
      good = good && same(guard + r * out.rowStride + out.cols, guard + (r + 1) * out.rowStride);
    }
    return good;
  }
};

struct Case {
  size_t m, n, k;
  DType a, b, c;
  bool turnedA, turnedB, bf16;
  float alpha, beta;
  size_t padA, padB, padC, shiftA, shiftB;

  std::string describe(Isa isa) const {
    const char* names[] = {"f32", "bf16", "f16"};
    char text[256];
    std::snprintf(text, sizeof text, "%s %zux%zux%zu %s%s+%zu@%zu * %s%s+%zu@%zu -> %s+%zu%s alpha %g beta %g",
                  isaName(isa), m, n, k, names[int(a)], turnedA ? "'" : "", padA, shiftA, names[int(b)],
                  turnedB ? "'" : "", padB, shiftB, names[int(c)], padC, bf16 ? " bf16 operands" : "", double(alpha),
                  double(beta));
    return text;
  }
};

// Rounding errors of a float32 sum of K products are random in sign, so they grow with sqrt(K); a bfloat16 result adds
// half a unit in its last place.
double tolerance(const Case& c, double magnitude, double exact, double old) {
  const double unit = 0x1p-24, sum = (8 + 4 * std::sqrt(double(c.k))) * unit * magnitude * std::fabs(double(c.alpha));
  return sum + 4 * unit * (std::fabs(c.beta * old) + std::fabs(exact)) +
         (c.c == DType::bf16 ? 0x1.01p-8 * std::fabs(exact) : 0) + 1e-37;
}

class Tester {
 public:
  Tester(Isa isa, uint64_t seed, int share) : isa_(isa), random_(seed), share_(share) {
    for (int threads : {1, 2, 3}) pools_.push_back(std::make_unique<Pool>(threads));
  }

  Random& random() { return random_; }

  // The number of elements compared is bounded, or large products would take minutes.
  void run(const Case& c) {
    Operand a(random_, c.m, c.k, c.a, c.turnedA, c.padA, c.shiftA);
    Operand b(random_, c.k, c.n, c.b, c.turnedB, c.padB, c.shiftB);
    Result result(random_, c.m, c.n, c.c, c.padC, c.beta == 0);
    std::vector<char> first;
    bool repeats = true;
    for (auto& pool : pools_) {
      for (int again = 0; again < 2; again++) {
        result.reset();
        gemm(*pool, isa_, a.matrix, b.matrix, result.out, c.alpha, c.beta, c.bf16);
        if (first.empty()) first = result.bytes;
        repeats = repeats && first == result.bytes;
      }
    }
    bool near = true;
    const size_t elements = c.m * c.n, checks = std::min<size_t>(elements, 200 + 4000000 / (c.k + 1));
    for (size_t i = 0; i < checks && near; i++) {
      const size_t e = checks == elements ? i : random_.below(elements), row = e / c.n, col = e % c.n;
      double sum = 0, magnitude = 0;
      for (size_t k = 0; k < c.k; k++) {
        const double product = a.value(row, k, c.bf16) * b.value(k, col, c.bf16);
        sum += product;
        magnitude += std::fabs(product);
      }
      const double old = c.beta == 0 ? 0 : result.valueBefore(row, col), exact = c.alpha * sum + c.beta * old;
      near = std::fabs(result.value(row, col) - exact) <= tolerance(c, magnitude, exact, old);
      if (!near) {
        std::printf("  [%zu,%zu] is %.9g, expected %.9g\n", row, col, double(result.value(row, col)), exact);
      }
    }
    expect(near, c.describe(isa_) + ": values");
    expect(result.surroundingsUntouched(), c.describe(isa_) + ": wrote outside of C");
    expect(repeats, c.describe(isa_) + ": differs between runs or numbers of threads");
  }

  // Every choice but the shape at random.
  void run(size_t m, size_t n, size_t k) {
    const DType operands[] = {DType::f32, DType::bf16, DType::f16}, results[] = {DType::f32, DType::bf16};
    const float alphas[] = {1, 1, -0.5f, 2.75f}, betas[] = {0, 0, 1, 1, -0.625f};
    const size_t paddings[] = {0, 0, 1, 5, 16}, shifts[] = {0, 0, 1, 2, 8};
    Case c{};
    c.m = m, c.n = n, c.k = k;
    c.a = random_.pick(operands), c.b = random_.pick(operands), c.c = random_.pick(results);
    c.turnedA = random_.below(2), c.turnedB = random_.below(2), c.bf16 = random_.below(2);
    c.alpha = random_.pick(alphas), c.beta = random_.pick(betas);
    c.padA = random_.pick(paddings), c.padB = random_.pick(paddings), c.padC = random_.pick(paddings);
    c.shiftA = random_.pick(shifts), c.shiftB = random_.pick(shifts);
    run(c);
  }

  void testShapes() {
    const size_t sizes[] = {1, 1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 31, 32, 33, 40, 41, 61, 64, 65, 97, 128, 131, 197};
    const size_t depths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 383, 500, 1025};
    for (int i = 0; i < 900; i += share_) {
      const size_t m = random_.pick(sizes), n = random_.pick(sizes), k = random_.pick(depths);
      run(m, n, k);
    }
    for (size_t k = 1; k <= 70; k += share_) run(7, 19, k);
  }

  void testTypes() {  // every combination of types, layouts and modes, by tiles and by dot products
    const size_t shapes[][3] = {{45, 70, 67}, {3, 41, 300}, {43, 5, 290}};
    for (const auto& shape : shapes)
      for (int choice = 0; choice < 3 * 3 * 2 * 2 * 2 * 2; choice += share_) {
        const DType types[] = {DType::f32, DType::bf16, DType::f16};
        Case c{};
        c.m = shape[0], c.n = shape[1], c.k = shape[2], c.alpha = 1, c.padB = 3, c.shiftB = 1;
        c.a = types[choice % 3], c.b = types[choice / 3 % 3], c.c = types[choice / 9 % 2];
        c.turnedA = choice / 18 % 2, c.turnedB = choice / 36 % 2, c.bf16 = choice / 72 % 2;
        run(c);
      }
  }

  void testHeads() {  // dot products with rows that all begin as far behind a line of the cache
    for (const DType type : {DType::f32, DType::bf16, DType::f16})
      for (size_t shift = 0; shift < 64; shift += 2 * share_)
        for (const size_t m : {1, 3, 10}) {
          Case c{};
          c.m = m, c.n = 19, c.k = 320, c.alpha = 1, c.turnedB = true, c.shiftB = shift;
          c.a = c.c = DType::f32, c.b = type, c.bf16 = random_.below(2);
          run(c);
        }
  }

  void testBlocks() {  // larger than each block of the implementation
    for (int i = 0; i < 3; i += share_) {
      run(67, 70, 2100);    // several blocks of k
      run(2, 90, 5003);     // the same by dot products: one pass,
      run(33, 90, 5003);    // and several
      run(801, 66, 130);    // more rows than are summed outside of C
      run(70, 801, 129);
      run(900, 9, 700);
    }
    if (share_ > 1) return;
    const DType f32 = DType::f32, bf16 = DType::bf16;
    run({450, 65, 20000, f32, f32, f32, false, false, false, 1, 1, 0, 0, 0, 0, 0});  // several packed row blocks
    run({450, 65, 20000, bf16, f32, bf16, true, true, false, 1, 0, 0, 0, 0, 0, 0});
  }

  // C = scale * (A B + factor u b) + bias, and what the scale multiplies, with every choice but the shape at random.
  void testFinish(size_t m, size_t n, size_t k) {
    const DType operands[] = {DType::f32, DType::bf16, DType::f16}, results[] = {DType::f32, DType::bf16};
    const size_t ranks[] = {0, 1, 3, 4, 8, 13}, paddings[] = {0, 0, 3};
    const bool rounded = random_.below(2), turnedLow = random_.below(2);
    const size_t rank = random_.pick(ranks);
    Operand a(random_, m, k, random_.pick(operands), random_.below(2), 0, 0);
    Operand b(random_, k, n, random_.pick(operands), random_.below(2), 2, 1);
    Operand u(random_, m, rank, DType::f32, false, 0, 0), low(random_, rank, n, DType::f32, turnedLow, 0, 0);
    Operand scale(random_, 1, n, DType::f32, false, 0, 0), bias(random_, 1, n, DType::f32, false, 0, 0);
    Result c(random_, m, n, random_.pick(results), random_.pick(paddings), true);
    Result z(random_, m, n, random_.pick(results), random_.pick(paddings), true);
    const bool scaled = random_.below(2), biased = random_.below(2), keeps = random_.below(2);
    Finish finish;
    if (rank > 0) finish.u = reinterpret_cast<const float*>(u.matrix.data);
    if (rank > 0) finish.b = reinterpret_cast<const float*>(low.matrix.data);
    finish.rank = rank, finish.turned = turnedLow, finish.factor = 1.75f;
    if (scaled) finish.scale = reinterpret_cast<const float*>(scale.matrix.data);
    if (biased) finish.bias = reinterpret_cast<const float*>(bias.matrix.data);
    if (keeps) finish.unscaled = &z.out;
    const std::string what = std::string(isaName(isa_)) + " finish " + std::to_string(m) + "x" + std::to_string(n) +
                             "x" + std::to_string(k) + " rank " + std::to_string(rank);
    std::vector<char> first;
    bool repeats = true, near = true;
    for (auto& pool : pools_) {
      c.reset(), z.reset();
      gemm(*pool, isa_, a.matrix, b.matrix, c.out, finish, rounded);
      std::vector<char> both = c.bytes;
      both.insert(both.end(), z.bytes.begin(), z.bytes.end());
      if (first.empty()) first = both;
      repeats = repeats && first == both;
    }
    for (size_t row = 0; row < m && near; row++) {
      for (size_t col = 0; col < n && near; col++) {
        double sum = 0, magnitude = 0;
        const auto add = [&](double product) {
          sum += product;
          magnitude += std::fabs(product);
        };
        for (size_t i = 0; i < k; i++) add(a.value(row, i, rounded) * b.value(i, col, rounded));
        for (size_t r = 0; r < rank; r++) add(1.75 * u.value(row, r, false) * low.value(r, col, false));
        const double factor = scaled ? scale.value(0, col, false) : 1, offset = biased ? bias.value(0, col, false) : 0;
        const double exact = sum * factor + offset;
        Case whole{};
        whole.k = k + rank, whole.alpha = float(factor), whole.c = c.out.type;
        near = std::fabs(c.value(row, col) - exact) <= tolerance(whole, magnitude, exact, 0) + 0x1p-22 * std::fabs(offset);
        whole.alpha = 1, whole.c = z.out.type;
        if (keeps) near = near && std::fabs(z.value(row, col) - sum) <= tolerance(whole, magnitude, sum, 0);
      }
    }
    expect(near, what + ": values");
    expect(c.surroundingsUntouched() && z.surroundingsUntouched(), what + ": wrote outside of the results");
    expect(keeps || z.bytes == z.before, what + ": wrote a result that was not asked for");
    expect(repeats, what + ": differs between numbers of threads");
  }

  void testFinishes() {
    const size_t sizes[] = {1, 2, 5, 16, 31, 41, 64, 65, 131}, depths[] = {1, 17, 64, 255, 300, 1100};
    for (int i = 0; i < 150; i += share_) {
      const size_t m = random_.pick(sizes), n = random_.pick(sizes), k = random_.pick(depths);
      testFinish(m, n, k);
    }
    testFinish(801, 66, 130);
    testFinish(45, 300, 2100);
    Operand a(random_, 4, 6, DType::f32, false, 0, 0), b(random_, 6, 5, DType::f32, false, 0, 0);
    Result c(random_, 4, 5, DType::f32, 0, true), z(random_, 4, 4, DType::f32, 0, true);
    Finish finish;
    finish.unscaled = &z.out;
    bool thrown = false;
    try {
      gemm(*pools_[0], isa_, a.matrix, b.matrix, c.out, finish, false);
    } catch (const std::invalid_argument&) {
      thrown = true;
    }
    expect(thrown && c.bytes == c.before && z.bytes == z.before, "refuses results of two shapes");
  }

  void testEdges() {
    run(0, 5, 7);
    run(5, 0, 7);
    for (float beta : {0.0f, 1.0f, -2.0f}) {
      for (DType type : {DType::f32, DType::bf16}) {
        run({4, 9, 0, DType::f32, DType::f32, type, false, false, false, 1, beta, 0, 0, 2, 0, 0});
      }
    }
    for (bool bf16 : {false, true}) {  // what is not finite spreads along its row and nowhere else
      for (size_t m : {3, 50}) {
        Operand a(random_, m, 300, DType::f32, false, 0, 0), b(random_, 300, 70, DType::bf16, true, 0, 0);
        Result c(random_, m, 70, DType::f32, 0, true);
        writeElement(a.at(1, 299), DType::f32, std::numeric_limits<float>::quiet_NaN());
        writeElement(a.at(2, 0), DType::f32, std::numeric_limits<float>::infinity());
        gemm(*pools_[1], isa_, a.matrix, b.matrix, c.out, 1, 0, bf16);
        bool good = true;
        for (size_t row = 0; row < m; row++)
          for (size_t col = 0; col < 70; col++) {
            const float value = c.value(row, col);
            good = good && (row == 1 ? std::isnan(value) : row == 2 ? std::isinf(value) : std::isfinite(value));
          }
        expect(good, std::string(isaName(isa_)) + ": NaN and infinity");
      }
    }
  }

  void testRefusals() {
    Operand a(random_, 4, 6, DType::f32, false, 0, 0), b(random_, 6, 5, DType::f32, false, 0, 0);
    Result c(random_, 4, 5, DType::f32, 0, true);
    const auto refuses = [&](const Matrix& x, const Matrix& y, const MatrixOut& z, const char* what) {
      bool thrown = false;
      try {
        gemm(*pools_[0], isa_, x, y, z, 1, 0, false);
      } catch (const std::invalid_argument&) {
        thrown = true;
      }
      expect(thrown && c.bytes == c.before, std::string("refuses ") + what);
    };
    refuses(b.matrix, a.matrix, c.out, "shapes that do not fit");
    Matrix odd = a.matrix;
    odd.type = DType::i32;
    refuses(odd, b.matrix, c.out, "i32");
    odd = a.matrix;
    odd.colStride = 2;
    refuses(odd, b.matrix, c.out, "two strides");
    MatrixOut out = c.out;
    out.type = DType::f16;
    refuses(a.matrix, b.matrix, out, "an f16 result");
    out = c.out;
    out.rowStride = 4;
    refuses(a.matrix, b.matrix, out, "rows that overlap");
  }

 private:
  Isa isa_;
  Random random_;
  const int share_;
  std::vector<std::unique_ptr<Pool>> pools_;
};

void testChoice() {
  Choice choice;
  size_t number = 0;
  for (auto& precision : choice.products)
    for (auto& pass : precision)
      for (Isa& isa : pass) isa = Isa(number++ % 7);
  const auto chosen = [&](size_t m, size_t n, bool forward, bool bf16) {
    const Matrix a{nullptr, DType::f32, m, 64, 64, 1}, b{nullptr, DType::f32, 64, n, forward ? 1 : n, forward ? size_t(64) : 1};
    return size_t(choice.of(a, b, bf16));
  };
  expect(chosen(1, 500, true, false) == 0, "one row forward");
  expect(chosen(2, 500, true, false) == 1, "few rows forward");
  expect(chosen(40, 500, true, false) == 1, "as many rows as are few");
  expect(chosen(41, 500, true, false) == 2, "many rows forward");
  expect(chosen(500, 8, true, false) == 1, "few columns");
  expect(chosen(500, 500, false, false) == 5, "an input gradient");
  expect(chosen(1, 500, true, true) == 6, "bfloat16");
}

void testPool() {
  for (int threads : {1, 2, 3, 5}) {
    const std::string name = "pool of " + std::to_string(threads);
    Pool pool(threads), other(2);
    expect(pool.threads() == threads, name + ": threads");
    bool once = true;
    std::atomic<bool> covered{true};
    for (int round = 0; round < 300; round++) {
      std::vector<std::atomic<int>> calls(threads), pieces(101);
      pool.run([&](int worker) { calls[worker]++; });
      for (auto& count : calls) once = once && count == 1;
      pool.forEach(101, size_t(1 + round % 120), [&](size_t begin, size_t end) {
        if (end - begin > size_t(1 + round % 120)) covered = false;
        for (size_t i = begin; i < end; i++) pieces[i]++;
      });
      for (auto& count : pieces) {
        if (count != 1) covered = false;
      }
      other.run([](int) {});
      if (round % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // until workers sleep
    }
    expect(once, name + ": each worker once");
    expect(covered, name + ": each piece once");
    for (int thrower = 0; thrower < threads; thrower++) {
      std::atomic<int> finished{0};
      std::string caught;
      try {
        pool.run([&](int worker) {
          if (worker == thrower) throw std::runtime_error("worker " + std::to_string(worker));
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          finished++;
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      expect(caught == "worker " + std::to_string(thrower) && finished == threads - 1, name + ": passes an error on");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Isa> chosen;
  bool known = argc == 1;
  for (Isa isa : allIsas) {
    known = known || std::strcmp(argv[1], isaName(isa)) == 0;
    if (argc > 1 && std::strcmp(argv[1], isaName(isa)) != 0) continue;
    if (supported(isa)) chosen.push_back(isa);
    else std::printf("skipped: %s not supported here\n", isaName(isa));
  }
  const int share = argc > 2 ? std::atoi(argv[2]) : 1;
  if (!known || share < 1 || argc > 3) {
    std::printf("usage: gemm_test [ISA [SHARE]]; ISA is one of");
    for (Isa isa : allIsas) std::printf(" %s", isaName(isa));
    std::printf("\n");
    return 2;
  }
  testPool();
  testChoice();
  for (Isa isa : chosen) {
    const int before = passed + failed;
    Tester tester(isa, 20240 + uint64_t(isa), share);
    tester.testShapes();
    tester.testTypes();
    tester.testHeads();
    tester.testBlocks();
    tester.testFinishes();
    tester.testEdges();
    tester.testRefusals();
    std::printf("%s: %d checks\n", isaName(isa), passed + failed - before);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
