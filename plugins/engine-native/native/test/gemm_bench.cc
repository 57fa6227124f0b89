// A developer's tool: how near to the machine's limits products run. `gemm_bench [THREADS [ISA]]`.
// Speeds are shares of a loop of multiply-adds on registers alone, timed in the same run on as many threads.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>
#if defined(__x86_64__)
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // of GCC 12's own header (PR 105593)
#endif
#include <immintrin.h>
#endif

#include "gemm/gemm.h"
#include "gemm/gemm_convert.h"

using namespace glulam;

namespace {

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of several runs, since other processes can only make one slower.
double shortest(const std::function<void()>& work, double budget) {
  double best = seconds(work), spent = 0;
  for (int i = 0; i < 3 || spent < budget; i++) {
    const double time = seconds(work);
    best = std::min(best, time);
    spent += time;
  }
  return best;
}

constexpr int chains = 24, rounds = 200000;

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) double peakBfloat16() {
  __m512 sums[chains];
  __m512i a = _mm512_set1_epi32(0x3f803f80);
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (int r = 0; r < rounds; r++) {
    __asm__ volatile("" : "+v"(a));
#pragma GCC unroll 24
    for (int i = 0; i < chains; i++) sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)a, (__m512bh)a);
  }
  for (int i = 1; i < chains; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  volatile float keep = _mm512_reduce_add_ps(sums[0]);
  (void)keep;
  return 64.0 * chains * rounds;
}
__attribute__((target("avx512f"))) double peak512() {
  __m512 sums[chains], a = _mm512_set1_ps(1);
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (int r = 0; r < rounds; r++) {
    __asm__ volatile("" : "+v"(a));
#pragma GCC unroll 24
    for (int i = 0; i < chains; i++) sums[i] = _mm512_fmadd_ps(a, a, sums[i]);
  }
  for (int i = 1; i < chains; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  volatile float keep = _mm512_reduce_add_ps(sums[0]);
  (void)keep;
  return 32.0 * chains * rounds;
}
__attribute__((target("avx2,fma"))) double peak256() {
  __m256 sums[12], a = _mm256_set1_ps(1);
  for (auto& sum : sums) sum = _mm256_setzero_ps();
  for (int r = 0; r < rounds; r++) {
    __asm__ volatile("" : "+x"(a));
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) sums[i] = _mm256_fmadd_ps(a, a, sums[i]);
  }
  for (int i = 1; i < 12; i++) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  volatile float keep = _mm256_cvtss_f32(sums[0]);
  (void)keep;
  return 16.0 * 12 * rounds;
}
#endif
double peakPlain() {
  typedef float Four __attribute__((vector_size(16)));
  Four sums[12] = {}, a = {1, 1, 1, 1};
  for (int r = 0; r < rounds; r++) {
    __asm__ volatile("" : "+m"(a));
    const Four b = a;
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) sums[i] = sums[i] + b * b;
  }
  for (int i = 1; i < 12; i++) sums[0] = sums[0] + sums[i];
  volatile float keep = sums[0][0];
  (void)keep;
  return 8.0 * 12 * rounds;
}

double peakOf(Pool& pool, Isa isa, bool bf16) {
  double (*loop)() = peakPlain;
#if defined(__x86_64__)
  if (isa == Isa::avx512) loop = peak512;
  if (isa == Isa::avx512bf16) loop = bf16 ? peakBfloat16 : peak512;
  if (isa == Isa::avx2) loop = peak256;
#endif
  (void)isa, (void)bf16;
  double work = 0;
  const auto job = [&](int worker) {
    const double done = loop();
    if (worker == 0) work = done;
  };
  const double time = shortest([&] { pool.run(job); }, 0.3);
  return work * pool.threads() / time / 1e9;
}

// Values that a seed fixes; small, since speed does not depend on them.
std::vector<char> filled(size_t n, DType type) {
  std::vector<char> bytes(n * bytesOf(type));
  uint32_t state = 1;
  for (size_t i = 0; i < n; i++) {
    state = state * 1664525 + 1013904223;
    writeElement(&bytes[i * bytesOf(type)], type, float(int32_t(state)) * 0x1p-33f);
  }
  return bytes;
}

struct Case {
  const char* name;
  size_t m, n, k;
  DType left, weight, out;
  bool leftTurned, rightAlongK;  // A as [k, m]; B as [n, k]
  bool bf16;
  float beta;
};

void bench(Pool& pool, Isa isa, const Case& c, double peak) {
  const size_t weightBytes = c.n * c.k * bytesOf(c.weight);
  // Several weights in turn where one would stay in the cache: a model's next layer is another one.
  const size_t copies = c.m <= 8 ? std::max<size_t>(1, (size_t(256) << 20) / weightBytes) : 1;
  std::vector<std::vector<char>> weights(copies, filled(c.n * c.k, c.weight));
  const auto left = filled(c.m * c.k, c.left);
  auto out = filled(c.m * c.n, c.out);
  const Matrix a{left.data(), c.left, c.m, c.k, c.leftTurned ? 1 : c.k, c.leftTurned ? c.m : 1};
  size_t turn = 0;
  const double time = shortest(
      [&] {
        const Matrix b{weights[turn++ % copies].data(), c.weight, c.k, c.n, c.rightAlongK ? 1 : c.n,
                       c.rightAlongK ? c.k : 1};
        gemm(pool, isa, a, b, {out.data(), c.out, c.m, c.n, c.n}, 1, c.beta, c.bf16);
      },
      0.25);
  const double speed = 2.0 * double(c.m * c.n * c.k) / time / 1e9;
  std::printf("%-16s %-9s %5zu %6zu %6zu  %8.1f GFLOP/s %5.1f%%  %6.1f GB/s of B  %8.0f us\n", c.name,
              c.bf16 ? "bfloat16" : "float32", c.m, c.n, c.k, speed, 100 * speed / peak,
              double(weightBytes) / time / 1e9, time * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : int(std::thread::hardware_concurrency());
  Isa isa = bestIsa();
  for (Isa one : allIsas) {
    if (argc > 2 && std::strcmp(argv[2], isaName(one)) == 0) isa = one;
  }
  Pool pool(threads);
  const double peaks[] = {peakOf(pool, isa, false), peakOf(pool, isa, true)};
  std::printf("%s, %d threads: peak float32 %.0f, bfloat16 %.0f GFLOP/s\n", isaName(isa), threads, peaks[0], peaks[1]);

  for (bool bf16 : {true, false}) {
    const DType weight = bf16 ? DType::bf16 : DType::f32;
    for (size_t m : {1, 8, 32, 256, 512}) {
      for (bool wide : {false, true}) {
        const size_t in = wide ? 2048 : 7168, out = wide ? 7168 : 2048;
        bench(pool, isa, {"forward", m, out, in, weight, weight, weight, false, true, bf16, 0}, peaks[bf16]);
        if (m < 32) continue;
        bench(pool, isa, {"input gradient", m, in, out, weight, weight, weight, false, false, bf16, 0}, peaks[bf16]);
      }
    }
  }
  const DType f32 = DType::f32;
  for (size_t r : {8, 64}) {
    bench(pool, isa, {"u = x A'", 512, r, 2048, f32, f32, f32, false, true, false, 0}, peaks[0]);
    bench(pool, isa, {"y += u B'", 512, 2048, r, f32, f32, f32, false, true, false, 1}, peaks[0]);
    bench(pool, isa, {"du = dy B", 512, r, 2048, f32, f32, f32, false, false, false, 0}, peaks[0]);
    bench(pool, isa, {"dA = du' x", r, 2048, 512, f32, f32, f32, true, false, false, 0}, peaks[0]);
    bench(pool, isa, {"dB = dy' u", 2048, r, 512, f32, f32, f32, true, false, false, 0}, peaks[0]);
    bench(pool, isa, {"dx += du A", 512, 2048, r, f32, f32, f32, false, false, false, 1}, peaks[0]);
  }
}
