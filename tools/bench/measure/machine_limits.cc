// What this machine can do at most, on so many threads: multiply-adds on registers alone, by each vector unit that the
// compiler was told of (-march=native), and reads of a buffer larger than the caches. Shares nothing with the engine.
// usage: machine_limits THREADS; prints one JSON line.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // of GCC 12's own header (PR 105593)
#endif
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

// Seconds from the moment at which all threads begin together to the end of the last.
double together(int threads, const std::function<void(int)>& work) {
  std::atomic<int> waiting{threads};
  std::atomic<bool> go{false};
  std::vector<std::thread> running;
  for (int i = 0; i < threads; i++) {
    running.emplace_back([&, i] {
      waiting--;
      while (!go) {
      }
      work(i);
    });
  }
  while (waiting > 0) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  go = true;
  for (auto& thread : running) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The shortest of several runs: whatever else goes on can only make one longer, and a limit is what could be.
double shortest(int threads, const std::function<void(int)>& work) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < 3 || spent < 0.4; i++) {
    const double time = together(threads, work);
    best = std::min(best, time);
    spent += time;
  }
  return best;
}

// Chains of multiply-adds that wait for their own last result only, enough of them to hide how long one takes.
#if defined(__AVX2__) && defined(__FMA__)
#define HAS_UNIT
struct Avx2 {
  static constexpr const char *name = "AVX2", *operands = "float32";
  static constexpr int chains = 12, flops = 16;
  using Sum = __m256;
  static __m256 one() { return _mm256_set1_ps(1); }
  static Sum add(Sum sum, __m256 a) { return _mm256_fmadd_ps(a, a, sum); }
};
#endif
#if defined(__AVX512F__)
struct Avx512 {
  static constexpr const char *name = "AVX-512", *operands = "float32";
  static constexpr int chains = 20, flops = 32;
  using Sum = __m512;
  static __m512 one() { return _mm512_set1_ps(1); }
  static Sum add(Sum sum, __m512 a) { return _mm512_fmadd_ps(a, a, sum); }
};
#endif
#if defined(__AVX512BF16__)
struct Avx512Bf16 {
  static constexpr const char *name = "AVX-512 BF16", *operands = "bfloat16";
  static constexpr int chains = 20, flops = 64;
  using Sum = __m512;
  static __m512bh one() { return _mm512_cvtne2ps_pbh(_mm512_set1_ps(1), _mm512_set1_ps(1)); }
  static Sum add(Sum sum, __m512bh a) { return _mm512_dpbf16_ps(sum, a, a); }
};
#endif
#if defined(__aarch64__)
#define HAS_UNIT
struct Neon {
  static constexpr const char *name = "NEON", *operands = "float32";
  static constexpr int chains = 20, flops = 8;
  using Sum = float32x4_t;
  static float32x4_t one() { return vdupq_n_f32(1); }
  static Sum add(Sum sum, float32x4_t a) { return vfmaq_f32(sum, a, a); }
};
#endif
#if !defined(HAS_UNIT)
struct Plain {
  static constexpr const char *name = "plain C++", *operands = "float32";
  static constexpr int chains = 12, flops = 2;
  using Sum = float;
  static float one() { return 1; }
  static Sum add(Sum sum, float a) { return sum + a * a; }
};
#endif

// Hides from the compiler what a register holds: equal chains would be computed once, unread ones left out.
#if defined(__AVX512F__)
#define HIDE(value) __asm__ volatile("" : "+v"(value))
#elif defined(__x86_64__)
#define HIDE(value) __asm__ volatile("" : "+x"(value))
#elif defined(__aarch64__)
#define HIDE(value) __asm__ volatile("" : "+w"(value))
#else
#define HIDE(value) __asm__ volatile("" : "+m"(value))
#endif
#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 32")
#endif

bool first = true;

template <class Unit>
void printRate(int threads) {
  constexpr int rounds = 400000;
  const double time = shortest(threads, [](int) {
    typename Unit::Sum sums[Unit::chains] = {};
    auto a = Unit::one();
    UNROLLED
    for (int i = 0; i < Unit::chains; i++) HIDE(sums[i]);
    for (int r = 0; r < rounds; r++) {
      HIDE(a);
      UNROLLED
      for (int i = 0; i < Unit::chains; i++) sums[i] = Unit::add(sums[i], a);
    }
    UNROLLED
    for (int i = 0; i < Unit::chains; i++) HIDE(sums[i]);
  });
  std::printf("%s{\"unit\":\"%s\",\"operands\":\"%s\",\"gflops\":%.2f}", first ? "" : ",", Unit::name, Unit::operands,
              double(Unit::flops) * Unit::chains * rounds * threads / time / 1e9);
  first = false;
}

// GB/s of all threads together, each reading a part of its own that it wrote itself.
double readRate(int threads, size_t bytes) {
  const size_t words = bytes / threads / sizeof(uint64_t);
  std::vector<std::unique_ptr<uint64_t[]>> parts(threads);
  together(threads, [&](int i) {
    parts[i].reset(new uint64_t[words]);
    for (size_t w = 0; w < words; w++) parts[i][w] = w;
  });
  std::vector<uint64_t> sums(threads);
  const double time = shortest(threads, [&](int i) {
    const uint64_t* part = parts[i].get();
    uint64_t lanes[32] = {};
    for (size_t w = 0; w + 32 <= words; w += 32) {
      for (int lane = 0; lane < 32; lane++) lanes[lane] += part[w + lane];
    }
    for (uint64_t lane : lanes) sums[i] += lane;
  });
  for (uint64_t sum : sums) {
    volatile uint64_t kept = sum;
    (void)kept;
  }
  return double(words / 32 * 32 * sizeof(uint64_t)) * threads / time / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc == 2 ? std::atoi(argv[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: machine_limits THREADS\n");
    return 1;
  }
  std::printf("{\"threads\":%d,\"units\":[", threads);
#if defined(__AVX512BF16__)
  printRate<Avx512Bf16>(threads);
#endif
#if defined(__AVX512F__)
  printRate<Avx512>(threads);
#endif
#if defined(__AVX2__) && defined(__FMA__)
  printRate<Avx2>(threads);
#endif
#if defined(__aarch64__)
  printRate<Neon>(threads);
#endif
#if !defined(HAS_UNIT)
  printRate<Plain>(threads);
#endif
  const size_t buffer = size_t(1) << 30;
  std::printf("],\"readGigabytesPerSecond\":%.2f}\n", readRate(threads, buffer));
}
