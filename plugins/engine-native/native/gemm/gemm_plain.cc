// Portable C++ (GCC and Clang): vectors of 4 floats, which any 64-bit machine has.
#define GLULAM_TARGET
#include "gemm/gemm_loops.h"

namespace glulam {
namespace {

typedef float Four __attribute__((vector_size(16)));

template <bool Rounded>
struct Plain : FloatCells<Plain<Rounded>, Rounded> {
  using Cells = Four;
  using Sums = Four;
  static constexpr size_t lanes = 4;
#if defined(__aarch64__)
  static constexpr size_t tileRows = 6, tileVectors = 4;  // 32 registers
#else
  static constexpr size_t tileRows = 6, tileVectors = 2;  // 16 registers
#endif
  static constexpr size_t dotRows = 4, dotColumns = 2;

  GLULAM_INLINE void keep(Four&) {}
  GLULAM_INLINE Four zero() { return Four{}; }
  GLULAM_INLINE Four zeroSums() { return Four{}; }
  GLULAM_INLINE Four broadcast(const float* at) { return Four{*at, *at, *at, *at}; }
  GLULAM_INLINE Four multiplyAdd(Four sums, Four a, Four b) { return sums + a * b; }
  GLULAM_INLINE Four load(const float* at) {
    Four value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  GLULAM_INLINE Four loadSums(const float* at, size_t n) {
    Four value{};
    std::memcpy(&value, at, std::min(n, lanes) * sizeof(float));
    return value;
  }
  GLULAM_INLINE void put(float* at, Four cells, size_t n) {
    if (n >= lanes) {
      std::memcpy(at, &cells, sizeof cells);
    } else {
      std::memcpy(at, &cells, n * sizeof(float));
    }
  }

  template <DType T>
  GLULAM_INLINE Four widen(const char* at) {
    constexpr size_t bytes = T == DType::f32 ? 4 : 2;
    return Four{readElement(at, T), readElement(at + bytes, T), readElement(at + 2 * bytes, T),
                readElement(at + 3 * bytes, T)};
  }
  template <DType T>
  GLULAM_INLINE Four widenPart(const char* at, size_t n) {
    if (n >= lanes) return widen<T>(at);
    Four value{};
    for (size_t i = 0; i < n; i++) value[i] = readElement(at + i * bytesOf(T), T);
    return value;
  }
  GLULAM_INLINE Four toBfloat16(Four value) {
    for (size_t i = 0; i < lanes; i++) value[i] = widenBfloat16(roundToBfloat16(value[i]));
    return value;
  }

  GLULAM_INLINE void transpose(Four (&r)[4]) {
    const Four a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < 4; i++) r[i] = Four{a[i], b[i], c[i], d[i]};
  }
  template <int N>
  GLULAM_INLINE void totals(const Four (&sums)[N], float* out) {
    for (int i = 0; i < N; i++) out[i] = (sums[i][0] + sums[i][2]) + (sums[i][1] + sums[i][3]);
  }

  template <DType T>
  GLULAM_INLINE void update(char* out, Four sums, size_t n, float alpha, float beta) {
    for (size_t i = 0; i < std::min(n, lanes); i++, out += bytesOf(T)) {
      const float value = alpha * sums[i];
      writeElement(out, T, beta == 0 ? value : value + beta * readElement(out, T));
    }
  }
};

}  // namespace

const GemmKernels& plainKernels(bool bfloat16) {
  static const GemmKernels exact = makeKernels<Plain<false>>(), rounded = makeKernels<Plain<true>>();
  return bfloat16 ? rounded : exact;
}

}  // namespace glulam
