#include "gemm/gemm.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "gemm/gemm_convert.h"
#include "gemm/gemm_kernels.h"
#include "gemm/gemm_scratch.h"

namespace glulam {
namespace {

const GemmKernels& kernelsOf(Isa isa, bool bfloat16) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx512bf16: return bfloat16 ? avx512Bfloat16Kernels() : avx512Kernels(false);
    case Isa::avx512: return avx512Kernels(bfloat16);
    case Isa::avx2: return avx2Kernels(bfloat16);
#elif defined(__aarch64__)
#if defined(GLULAM_ARM_BF16)
    case Isa::bfmmla: return bfloat16 ? bfmmlaKernels() : neonKernels(false);
    case Isa::bfdot: return bfloat16 ? bfdotKernels() : neonKernels(false);
#endif
    case Isa::neon: return neonKernels(bfloat16);
#endif
    default: return plainKernels(bfloat16);
  }
}

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument("gemm: " + why); }

std::string shapeOf(size_t rows, size_t cols) { return std::to_string(rows) + " x " + std::to_string(cols); }

// A dimension of 1 is never stepped along, so its stride is free.
Matrix checked(const char* name, Matrix m) {
  if (m.type == DType::i32) refuse(std::string(name) + " is i32; f32, bf16 and f16 can be multiplied");
  if (m.rowStride != 1 && m.colStride != 1) {
    if (m.cols <= 1) {
      m.colStride = 1;
    } else if (m.rows <= 1) {
      m.rowStride = 1;
    } else {
      refuse(std::string(name) + " has strides " + shapeOf(m.rowStride, m.colStride) + "; one must be 1");
    }
  }
  return m;
}

void check(Isa isa, const Matrix& a, const Matrix& b, const MatrixOut& c) {
  if (!supported(isa)) refuse(std::string(isaName(isa)) + " is not supported on this machine");
  if (a.cols != b.rows || c.rows != a.rows || c.cols != b.cols) {
    refuse(shapeOf(a.rows, a.cols) + " by " + shapeOf(b.rows, b.cols) + " into " + shapeOf(c.rows, c.cols) +
           " does not fit");
  }
  if (c.type != DType::f32 && c.type != DType::bf16) refuse("the result can be f32 or bf16 only");
  if (c.rows > 1 && c.rowStride < c.cols) refuse("rows of the result overlap");
}

void scale(const MatrixOut& c, float beta) {
  const size_t bytes = bytesOf(c.type);
  for (size_t row = 0; row < c.rows; row++) {
    char* at = static_cast<char*>(c.data) + row * c.rowStride * bytes;
    for (size_t col = 0; col < c.cols; col++, at += bytes) {
      writeElement(at, c.type, beta == 0 ? 0.0f : beta * readElement(at, c.type));
    }
  }
}

void checkFinish(const MatrixOut& c, const Finish& finish) {
  if (!finish.unscaled) return;
  const MatrixOut& z = *finish.unscaled;
  if (z.rows != c.rows || z.cols != c.cols) {
    refuse("the result before its scale is " + shapeOf(z.rows, z.cols) + ", the result " + shapeOf(c.rows, c.cols));
  }
  if (z.type != DType::f32 && z.type != DType::bf16) refuse("the result before its scale can be f32 or bf16 only");
  if (z.rows > 1 && z.rowStride < z.cols) refuse("rows of the result before its scale overlap");
}

void multiply(Pool& pool, Isa isa, const Matrix& a, const Matrix& b, const MatrixOut& c, float alpha, float beta,
              const Finish* finish, bool bfloat16) {
  const size_t m = c.rows, n = c.cols, k = a.cols;
  const GemmKernels& kernels = kernelsOf(isa, bfloat16);
  const Target straight{c, false, alpha, beta, finish}, turned{c, true, alpha, beta, nullptr};
  const Strip left = rowsOf(a), right = columnsOf(b);
  // Short sums along k are not worth dot products: most of the time would go into adding up lanes.
  const bool longSums = k >= 8 * kernels.lanes * kernels.step;
  // Of an encoded operand, whole rows are read along k.
  const auto runsAlong = [](const Strip& strip) { return strip.encoded ? strip.rows : strip.along == 1; };
  if (m <= slimRows && runsAlong(right) && longSums) {
    multiplyDots(pool, kernels, left, m, right, n, k, straight);
  } else if (n <= slimRows && runsAlong(left) && longSums && !finish) {
    multiplyDots(pool, kernels, right, n, left, m, k, turned);
  } else if (n < m && !finish && (n < kernels.lanes * kernels.tileVectors || left.along != 1)) {
    // Else registers would be part empty, or the larger operand packed a few elements at a time.
    multiplyTiles(pool, kernels, right, n, left, m, k, turned);
  } else {
    multiplyTiles(pool, kernels, left, m, right, n, k, straight);
  }
}

}  // namespace

void gemm(Pool& pool, Isa isa, const Matrix& givenA, const Matrix& givenB, const MatrixOut& c, float alpha, float beta,
          bool bfloat16) {
  const Matrix a = checked("A", givenA), b = checked("B", givenB);
  check(isa, a, b, c);
  if (c.rows == 0 || c.cols == 0) return;
  if (a.cols == 0) return scale(c, beta);
  multiply(pool, isa, a, b, c, alpha, beta, nullptr, bfloat16);
}

void gemm(Pool& pool, Isa isa, const Matrix& givenA, const Matrix& givenB, const MatrixOut& c, const Finish& finish,
          bool bfloat16) {
  const Matrix a = checked("A", givenA), b = checked("B", givenB);
  check(isa, a, b, c);
  checkFinish(c, finish);
  if (a.cols == 0) refuse("a product with a finish needs at least one element to sum");
  if (c.rows == 0 || c.cols == 0) return;
  multiply(pool, isa, a, b, c, 1, 0, &finish, bfloat16);
}

Strip decodedCopy(const GemmKernels& kernels, const Strip& strip, size_t width, size_t k) {
  // Here and not where it is called: looking it up takes as long as a short sum.
  thread_local Scratch room;
  // An odd number of cache lines: rows at multiples of a page would share few sets of the cache.
  const size_t columns = strip.rows ? k : width, stride = ((columns + 15) / 16 | 1) * 16;
  const size_t rows = strip.rows ? width : k, row = strip.rows ? strip.vector : strip.k;
  const size_t begin = strip.rows ? strip.k : strip.vector;
  auto out = static_cast<float*>(room.reserve(rows * stride * sizeof(float)));
  for (size_t i = 0; i < rows; i++) {
    kernels.decodeRow(*strip.encoded, row + i, begin, begin + columns, out + i * stride);
  }
  return {reinterpret_cast<const char*>(out), DType::f32, strip.rows ? stride : 1, strip.rows ? 1 : stride};
}

void decodeElements(Pool& pool, Isa isa, const Encoded& weight, size_t first, size_t count, float* out) {
  const GemmKernels& kernels = kernelsOf(isa, false);
  if (count == 0) return;
  const size_t columns = weight.columns, row = first / columns, rows = (first + count - 1) / columns + 1 - row;
  pool.forEach(rows, std::max<size_t>(1, 32768 / columns), [&](size_t begin, size_t end) {
    for (size_t i = row + begin; i < row + end; i++) {
      const size_t from = std::max(first, i * columns), to = std::min(first + count, (i + 1) * columns);
      kernels.decodeRow(weight, i, from - i * columns, to - i * columns, out + (from - first));
    }
  });
}

FinishColumns::FinishColumns(const Finish& finish, size_t n, size_t column, size_t columns, float* room)
    : finish_(finish), column_(column), columns_(columns), b_(room) {
  const size_t along = finish.turned ? 1 : n, across = finish.turned ? finish.rank : 1;
  for (size_t r = 0; r < finish.rank; r++) {
    const float* from = finish.b + r * along + column * across;
    for (size_t i = 0; i < columns; i++) room[r * columns + i] = finish.factor * from[i * across];
  }
}

void FinishColumns::store(const GemmKernels& kernels, const Target& target, size_t row, float* sums) const {
  if (finish_.rank > 0) kernels.addLowRank(sums, columns_, finish_.u + row * finish_.rank, finish_.rank, b_, columns_);
  if (finish_.unscaled) {
    const Target unscaled{*finish_.unscaled, false, 1, 0, nullptr};
    kernels.store(sums, columns_, unscaled.at(row, column_), unscaled.c.type, 1, 0);
  }
  if (finish_.scale || finish_.bias) {
    kernels.scaleColumns(sums, columns_, finish_.scale ? finish_.scale + column_ : nullptr,
                         finish_.bias ? finish_.bias + column_ : nullptr);
  }
  char* const out = target.at(row, column_);
  if (out != reinterpret_cast<char*>(sums)) kernels.store(sums, columns_, out, target.c.type, 1, 0);
}

#if defined(__x86_64__)
// GCC before 11 and Clang before 18 do not know "f16c" by name. That the system keeps its registers follows from AVX2.
static bool hasF16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

#if defined(__aarch64__)
static bool hasArmBf16() {
#if !defined(GLULAM_ARM_BF16)
  return false;
#elif defined(__linux__)
  constexpr unsigned long bf16 = 1ul << 14;  // HWCAP2_BF16, which older headers lack
  return getauxval(AT_HWCAP2) & bf16;
#elif defined(__APPLE__)
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname("hw.optional.arm.FEAT_BF16", &value, &size, nullptr, 0) == 0 && value;
#else
  return false;
#endif
}
#endif

bool supported(Isa isa) {
#if defined(__x86_64__)
  // Asked once: a virtual machine takes longer to answer `cpuid` than a small product takes.
  static const bool avx2 = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && hasF16c();
  }();
  static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool avx512bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (isa == Isa::avx2) return avx2;
  if (isa == Isa::avx512) return avx512;
  if (isa == Isa::avx512bf16) return avx512bf16;
#elif defined(__aarch64__)
  static const bool bf16 = hasArmBf16();
  if (isa == Isa::neon) return true;
  if (isa == Isa::bfdot || isa == Isa::bfmmla) return bf16;
#endif
  return isa == Isa::plain;
}

Isa bestIsa() {
  for (const Isa isa : allIsas) {
    if (supported(isa)) return isa;
  }
  return Isa::plain;
}

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::avx512bf16: return "avx512-bf16";
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    case Isa::bfmmla: return "neon-bfmmla";
    case Isa::bfdot: return "neon-bfdot";
    case Isa::neon: return "neon";
    default: return "plain";
  }
}

Isa Choice::of(const Matrix& a, const Matrix& b, bool bfloat16) const {
  const size_t rows = std::min(a.rows, b.cols);
  const Rows few = rows == 1 ? Rows::one : rows <= slimRows ? Rows::few : Rows::many;
  const Pass pass = b.rowStride == 1 ? Pass::forward : Pass::inputGradient;
  return products[bfloat16][size_t(pass)][size_t(few)];
}

}  // namespace glulam
