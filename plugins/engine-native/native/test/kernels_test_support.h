// What the tests of the kernels share: seeded values, outputs between guards, comparison with references in double.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace glulam {

inline int passed = 0, failed = 0;

inline void expect(bool good, const std::string& what) {
  good ? passed++ : failed++;
  if (!good && failed <= 30) std::printf("FAILED %s\n", what.c_str());
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
  double uniform() { return double(next() >> 11) * 0x1p-52 - 1; }  // [-1, 1)

 private:
  uint64_t state_;
};

inline std::vector<float> randomFloats(uint64_t seed, size_t n, double scale = 1, double shift = 0) {
  Random random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = float(random.uniform() * scale + shift);
  return x;
}

// Written without the kernels' tricks: the nearest number with `bits` bits after the first, ties to even.
inline double rounded(double x, int bits, int leastExponent, double limit) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), leastExponent);
  const double unit = std::ldexp(1.0, exponent - bits), nearest = std::nearbyint(x / unit) * unit;
  return std::fabs(nearest) >= limit ? std::copysign(INFINITY, x) : nearest;
}
inline double asBf16(double x) { return rounded(x, 7, -126, std::ldexp(1.0, 128)); }
inline double asF16(double x) { return rounded(x, 10, -14, 65536); }

inline double decode(uint16_t bits, int exponentBits) {
  const int fractionBits = 15 - exponentBits, most = (1 << exponentBits) - 1, bias = most / 2;
  const int exponent = (bits >> fractionBits) & most, fraction = bits & ((1 << fractionBits) - 1);
  double value = std::ldexp(fraction + (exponent ? 1 << fractionBits : 0), std::max(exponent, 1) - bias - fractionBits);
  if (exponent == most) value = fraction ? NAN : INFINITY;
  return bits >> 15 ? -value : value;
}

// Values of one type, in memory of exactly their size, `shift` bytes from an aligned address.
class Stored {
 public:
  Stored(const std::vector<float>& x, DType type, size_t shift = 0) : type_(type), n_(x.size()), shift_(shift) {
    const size_t size = bytesOf(type);
    bytes_.reset(new char[shift + n_ * size]);
    for (size_t i = 0; i < n_; i++) {
      char* to = bytes_.get() + shift + i * size;
      const double value = type == DType::bf16 ? asBf16(x[i]) : type == DType::f16 ? asF16(x[i]) : x[i];
      const float f = float(value);
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      if (type == DType::bf16) bits >>= 16;
      if (type == DType::f16) {
        for (bits = value < 0 ? 0x8000 : 0; decode(uint16_t(bits), 5) != value;) bits++;
      }
      std::memcpy(to, &bits, size);
      values_.push_back(value);
    }
  }
  const void* data() const { return bytes_.get() + shift_; }
  Values in(size_t rowStride = 0) const { return {data(), type_, rowStride}; }
  const std::vector<double>& values() const { return values_; }

 private:
  DType type_;
  size_t n_, shift_;
  std::unique_ptr<char[]> bytes_;
  std::vector<double> values_;
};

// An output between guards, which holds poison (NaN as any float) or what a kernel changes in place.
class Output {
 public:
  Output(size_t bytes) : Output(std::vector<char>(bytes, char(0xff))) {}
  Output(const std::vector<float>& x)
      : Output(std::vector<char>(reinterpret_cast<const char*>(x.data()),
                                 reinterpret_cast<const char*>(x.data() + x.size()))) {}
  Output(const std::vector<char>& content) : bytes_(content.size() + 2 * guard, char(0xa5)), n_(content.size()) {
    if (n_) std::memcpy(data(), content.data(), n_);
  }
  char* data() { return bytes_.data() + guard; }
  float* floats() { return reinterpret_cast<float*>(data()); }
  int32_t* integers() { return reinterpret_cast<int32_t*>(data()); }
  bool intact() const {
    for (size_t i = 0; i < guard; i++) {
      if (bytes_[i] != char(0xa5) || bytes_[guard + n_ + i] != char(0xa5)) return false;
    }
    return true;
  }
  bool same(const Output& other) const { return bytes_ == other.bytes_; }
  std::vector<double> values(DType type) {
    std::vector<double> result(n_ / bytesOf(type));
    for (size_t i = 0; i < result.size(); i++) {
      uint16_t half;
      std::memcpy(&half, data() + i * bytesOf(type), 2);
      result[i] = type == DType::f32 ? floats()[i] : type == DType::i32 ? integers()[i]
          : decode(half, type == DType::f16 ? 5 : 8);
    }
    return result;
  }

 private:
  static constexpr size_t guard = 64;
  std::vector<char> bytes_;
  size_t n_;
};

struct Bench {
  const Kernels& kernels;
  const std::vector<std::unique_ptr<Pool>>& pools;
  std::string isa;

  // Runs a kernel on pools of 1, 2 and 3 threads, and again: same bits each time, nothing written beyond the outputs.
  std::vector<Output> run(const std::string& what, const std::vector<Output>& initial,
                          const std::function<void(Pool&, std::vector<Output>&)>& call) const {
    std::vector<Output> first = initial;
    call(*pools[0], first);
    bool same = true, intact = true;
    for (const auto& output : first) intact = intact && output.intact();
    for (size_t again = 1; again <= pools.size(); again++) {
      std::vector<Output> outputs = initial;
      call(*pools[again % pools.size()], outputs);
      for (size_t i = 0; i < outputs.size(); i++) same = same && outputs[i].same(first[i]);
    }
    expect(same, isa + " " + what + ": other bits on other threads or again");
    expect(intact, isa + " " + what + ": wrote beyond its output");
    return first;
  }

  // |got - wanted| <= absolute + relative * |wanted|; what is not finite must be the same.
  void close(const std::string& what, const std::vector<double>& got, const std::vector<double>& wanted,
             double relative, double absolute) const {
    std::string fault = got.size() == wanted.size() ? "" : "sizes differ";
    for (size_t i = 0; i < got.size() && fault.empty(); i++) {
      const double g = got[i], w = wanted[i];
      const bool good = std::isnan(w)   ? std::isnan(g)
                        : std::isinf(w) ? g == w
                                        : std::fabs(g - w) <= absolute + relative * std::fabs(w);
      if (!good) fault = "[" + std::to_string(i) + "] got " + std::to_string(g) + ", wanted " + std::to_string(w);
    }
    expect(fault.empty(), isa + " " + what + ": " + fault);
  }

  void throws(const std::string& what, const std::string& part, const std::function<void(Pool&)>& call) const {
    std::string message = "nothing";
    try {
      call(*pools[0]);
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    expect(message.find(part) != std::string::npos, isa + " " + what + ": threw " + message);
  }
};

constexpr double halfUlpBf16 = 0x1p-8;  // relative, half a unit in the last place at most

}  // namespace glulam
