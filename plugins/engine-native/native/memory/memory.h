// Where tensors live: memory of the process, taken and given back by the worker.
#pragma once
#include <atomic>
#include <cstddef>
#include <map>
#include <vector>

namespace glulam {

// Blocks at a cache line's start. Freed ones are kept for the next of their size: the same shapes come again in every
// layer and step, and fresh pages cost a fault each. Of what is kept, so much is given back to the system that it raises
// no peak, as far as whole pages allow. For one thread; the counts may be read by any.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  // Throws std::runtime_error when the system refuses.
  void* take(size_t bytes);
  // `bytes` as they were asked for.
  void give(void* block, size_t bytes);

  size_t live() const { return live_.load(std::memory_order_relaxed); }
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }
  // Held of the system: live blocks, kept ones, and what lies beside them on their pages.
  size_t held() const { return held_.load(std::memory_order_relaxed); }
  size_t heldPeak() const { return heldPeak_.load(std::memory_order_relaxed); }

 private:
  // Blocks of middle size lie one behind the other on huge pages: by itself none would fill some.
  struct Slab {
    size_t bytes;
    size_t used = 0;
  };
  struct Page {
    size_t number = 0;  // in the order they were first used
    bool held = false;
    size_t live = 0;  // blocks that lie on it, in part at least
  };

  void* takeKept(size_t bucket);
  void* takeFresh(size_t bucket);
  void* takeFromSlab(size_t bucket);
  void hold(size_t bytes);
  void holdPages(void* block, size_t bucket);
  // Give back what is kept, the largest first, until `bytes` more raise no peak with `bucket` live ones.
  void makeRoom(size_t bytes, size_t bucket);
  bool giveBackOne();

  std::map<size_t, std::vector<void*>> kept_;  // by bucket; no empty lists
  std::map<size_t, char*> filling_;            // by a slab's size, the one that blocks are taken from
  std::map<char*, Slab> slabs_;
  std::map<char*, Page> pages_;                // of slabs, as far as blocks were taken from them
  std::map<size_t, char*> idle_;               // by number, held pages without live blocks
  std::atomic<size_t> live_{0}, peak_{0}, held_{0}, heldPeak_{0};
};

}  // namespace glulam
