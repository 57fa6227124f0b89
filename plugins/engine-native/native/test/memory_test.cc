// Memory under random use: blocks keep what is written to them and never overlap, and what is kept costs no peak.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <map>

#include "test/kernels_test_support.h"
#include "memory/memory.h"

using namespace glulam;

namespace {

struct Block {
  size_t bytes;
  uint64_t stamp;
};

// A stamp at every 4 KB and at the end, so that a block that lies over another is found.
void write(char* at, const Block& block) {
  for (size_t i = 0; i + 8 <= block.bytes; i += 4096) std::memcpy(at + i, &block.stamp, 8);
  if (block.bytes >= 8) std::memcpy(at + block.bytes - 8, &block.stamp, 8);
}

bool isWhole(const char* at, const Block& block) {
  const auto holds = [&](size_t i) { return std::memcmp(at + i, &block.stamp, 8) == 0; };
  for (size_t i = 0; i + 8 <= block.bytes; i += 4096) {
    if (i + 16 <= block.bytes && !holds(i)) return false;
  }
  return block.bytes < 8 || holds(block.bytes - 8);
}

// Of every kind: small, in slabs, and mapped by themselves; a few sizes come again and again, as shapes do.
size_t someBytes(Random& random) {
  const size_t largest[] = {600, 32 << 10, 300 << 10, 2 << 20, 9 << 20};
  const size_t most = largest[random.below(5)];
  return random.below(2) ? most - random.below(4) * (most / 7) : 1 + random.below(most);
}

void testRandomUse(uint64_t seed) {
  Random random(seed);
  Memory memory;
  std::map<char*, Block> live;
  bool whole = true, aligned = true, counted = true;
  for (int step = 0; step < 3000; step++) {
    if (live.empty() || (random.below(100) < 52 && memory.live() < (size_t(200) << 20))) {
      const Block block{someBytes(random), random.next()};
      const auto at = static_cast<char*>(memory.take(block.bytes));
      aligned &= reinterpret_cast<uintptr_t>(at) % 64 == 0;
      write(at, block);
      whole &= live.emplace(at, block).second;
    } else {
      const auto gone = std::next(live.begin(), long(random.below(live.size())));
      whole &= isWhole(gone->first, gone->second);
      memory.give(gone->first, gone->second.bytes);
      live.erase(gone);
    }
    size_t asked = 0;
    for (const auto& [at, block] : live) asked += block.bytes;
    counted &= memory.live() >= asked && memory.peak() >= memory.live();
  }
  for (const auto& [at, block] : live) {
    whole &= isWhole(at, block);
    memory.give(at, block.bytes);
  }
  const std::string what = "random use, seed " + std::to_string(seed);
  expect(whole, what + ": a block was overwritten");
  expect(aligned, what + ": a block does not begin at a cache line");
  expect(counted && memory.live() == 0, what + ": live bytes are counted wrong");
}

#ifdef __linux__
size_t residentBytes() {
  size_t pages = 0, resident = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  const int read = file ? std::fscanf(file, "%zu %zu", &pages, &resident) : 0;
  if (file) std::fclose(file);
  return read == 2 ? resident * size_t(sysconf(_SC_PAGESIZE)) : 0;
}
#endif

// As in training: what a forward pass keeps is freed while gradients of another size are made, all of one step alike.
void testSteps(size_t kept, size_t gradients) {
  Memory memory;
  const auto take = [&](size_t bytes) {
    const auto at = static_cast<char*>(memory.take(bytes));
    std::memset(at, 1, bytes);
    return at;
  };
  const std::string what = "blocks of " + std::to_string(kept) + " and then of " + std::to_string(gradients) + " bytes";
#ifdef __linux__
  const size_t before = residentBytes();
#endif
  const size_t total = size_t(48) << 20;
  std::vector<char*> parameters;
  for (int i = 0; i < 40; i++) parameters.push_back(take(gradients));
  for (int step = 0; step < 3; step++) {
    std::vector<char*> activations, all;
    for (size_t i = 0; i < total / kept; i++) activations.push_back(take(kept));
    for (size_t i = 0; i < total / gradients; i++) {
      const size_t wanted = total - (i + 1) * gradients;
      while (activations.size() * kept > wanted) {
        memory.give(activations.back(), kept);
        activations.pop_back();
      }
      all.push_back(take(gradients));
    }
    for (char* at : activations) memory.give(at, kept);
    for (char* at : all) memory.give(at, gradients);
    expect(memory.held() <= memory.peak() + (size_t(12) << 20), what + ": too much is kept");
#ifdef __linux__
    const size_t held = residentBytes() - before;
    expect(held <= memory.peak() + (size_t(24) << 20),
           what + ": " + std::to_string(held) + " bytes are held, peak " + std::to_string(memory.peak()));
#endif
  }
  for (char* at : parameters) memory.give(at, gradients);
}

}  // namespace

int main() {
  for (uint64_t seed = 1; seed <= 4; seed++) testRandomUse(seed);
  testSteps(size_t(3) << 20, size_t(200) << 10);
  testSteps(size_t(200) << 10, size_t(700) << 10);
  testSteps(size_t(1) << 20, size_t(3) << 20);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
