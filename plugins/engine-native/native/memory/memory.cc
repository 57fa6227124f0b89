#include "memory/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <stdexcept>
#include <string>

namespace glulam {
namespace {

constexpr size_t hugePage = size_t(2) << 20;

// Sizes in steps of an eighth of their power of two: an eighth is wasted at most, and few sizes differ.
size_t bucketOf(size_t bytes) {
  if (bytes <= 512) return (bytes + 63) / 64 * 64 + (bytes == 0) * 64;
  size_t step = 64;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

#ifdef __linux__
// Blocks from here on lie on huge pages: fresh small ones cost many times as much a byte.
constexpr size_t middleFrom = size_t(32) << 10;
// Blocks from here on are mapped by themselves: what is given back is the system's again at once. The C library would
// keep it, between blocks that are still in use.
constexpr size_t largeFrom = 4 * hugePage;
#else
constexpr size_t middleFrom = hugePage, largeFrom = hugePage;
#endif

bool isSmall(size_t bucket) { return bucket < middleFrom; }
bool isLarge(size_t bucket) { return bucket >= largeFrom; }
bool isMiddle(size_t bucket) { return !isSmall(bucket) && !isLarge(bucket); }

// Blocks of about one size share a slab, since they come and go together.
size_t slabBytesFor(size_t bucket) {
  size_t bytes = hugePage;
  while (bytes < 8 * bucket) bytes *= 2;
  return bytes;
}

#ifdef __linux__
size_t wholePages(size_t bytes) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}
#endif

// On huge pages, where the system has them.
void* mapPages(size_t bytes) {
#ifdef __linux__
  const size_t size = wholePages(bytes);
  // Huge pages want blocks that begin at one; what lies around is given back.
  void* all = mmap(nullptr, size + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(all);
  char* const block = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(begin) + hugePage - 1) / hugePage * hugePage);
  char* const end = begin + size + hugePage;
  if (block > begin) munmap(begin, size_t(block - begin));
  if (block + size < end) munmap(block + size, size_t(end - block - size));
  madvise(block, size, MADV_HUGEPAGE);
  return block;
#else
  void* block = nullptr;
  return posix_memalign(&block, hugePage, bytes) == 0 ? block : nullptr;
#endif
}

void unmapPages(void* block, size_t bytes) {
#ifdef __linux__
  munmap(block, wholePages(bytes));
#else
  (void)bytes;
  std::free(block);
#endif
}

// Calls body with each huge page that the block lies on.
template <class Body>
void eachPage(void* block, size_t bytes, const Body& body) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(block);
  for (uintptr_t page = begin / hugePage * hugePage; page < begin + bytes; page += hugePage) {
    body(reinterpret_cast<char*>(page));
  }
}

}  // namespace

Memory::~Memory() {
  for (auto& [bucket, blocks] : kept_) {
    for (void* block : blocks) {
      if (isLarge(bucket)) unmapPages(block, bucket);
      if (isSmall(bucket)) std::free(block);
    }
  }
  for (auto& [begin, slab] : slabs_) unmapPages(begin, slab.bytes);
}

void* Memory::take(size_t bytes) {
  const size_t bucket = bucketOf(bytes);
  void* block = takeKept(bucket);
  if (!block) block = takeFresh(bucket);
  if (!block) {
    throw std::runtime_error("out of memory: " + std::to_string(bytes) + " bytes were asked for, with " +
                             std::to_string(live()) + " in use; shorten the batch or turn recomputation on");
  }
  if (isMiddle(bucket)) holdPages(block, bucket);
  live_ += bucket;
  if (live() > peak()) peak_.store(live());
  return block;
}

void Memory::give(void* block, size_t bytes) {
  const size_t bucket = bucketOf(bytes);
  live_ -= bucket;
  kept_[bucket].push_back(block);
  if (!isMiddle(bucket)) return;
  eachPage(block, bucket, [this](char* at) {
    Page& page = pages_.at(at);
    if (--page.live == 0) idle_.insert({page.number, at});
  });
}

void* Memory::takeKept(size_t bucket) {
  const auto found = kept_.find(bucket);
  if (found == kept_.end()) return nullptr;
  void* const block = found->second.back();
  found->second.pop_back();
  if (found->second.empty()) kept_.erase(found);
  return block;
}

void* Memory::takeFresh(size_t bucket) {
  if (isMiddle(bucket)) return takeFromSlab(bucket);
  makeRoom(bucket, bucket);
  void* block = nullptr;
  if (isLarge(bucket)) {
    block = mapPages(bucket);
  } else if (posix_memalign(&block, 64, bucket) != 0) {
    return nullptr;
  }
  if (block) hold(bucket);
  return block;
}

void* Memory::takeFromSlab(size_t bucket) {
  const size_t bytes = slabBytesFor(bucket);
  char*& filling = filling_[bytes];
  if (!filling || slabs_.at(filling).used + bucket > bytes) {
    const auto begin = static_cast<char*>(mapPages(bytes));
    if (!begin) return nullptr;
    slabs_.insert({begin, Slab{bytes}});
    filling = begin;
  }
  size_t& used = slabs_.at(filling).used;
  void* const block = filling + used;
  used += bucket;
  return block;
}

void Memory::hold(size_t bytes) {
  held_ += bytes;
  if (held() > heldPeak()) heldPeak_.store(held());
}

// The pages of a block that was taken from a slab, fresh or kept.
void Memory::holdPages(void* block, size_t bucket) {
  size_t missing = 0;
  eachPage(block, bucket, [&](char* at) {
    Page& page = pages_.insert({at, Page{pages_.size()}}).first->second;
    if (page.live++ > 0) return;
    if (page.held) idle_.erase(page.number);
    else missing += hugePage;
  });
  if (missing == 0) return;
  makeRoom(missing, bucket);
  eachPage(block, bucket, [this](char* at) { pages_.at(at).held = true; });
  hold(missing);
}

void Memory::makeRoom(size_t bytes, size_t bucket) {
  const size_t most = std::max(peak(), live() + bucket);
  while (held() + bytes > most && giveBackOne()) continue;
}

bool Memory::giveBackOne() {
  const auto largest = kept_.empty() ? kept_.end() : std::prev(kept_.end());
  if (largest != kept_.end() && isLarge(largest->first)) {
    const size_t bucket = largest->first;
    unmapPages(takeKept(bucket), bucket);
    held_ -= bucket;
    return true;
  }
#ifdef __linux__
  if (!idle_.empty()) {
    // The blocks on it are kept as before, and fresh when they are taken again.
    const auto page = std::prev(idle_.end());
    madvise(page->second, hugePage, MADV_DONTNEED);
    pages_.at(page->second).held = false;
    idle_.erase(page);
    held_ -= hugePage;
    return true;
  }
#endif
  const auto middle = kept_.lower_bound(middleFrom);
  if (middle == kept_.begin()) return false;
  const size_t bucket = std::prev(middle)->first;
  std::free(takeKept(bucket));
  held_ -= bucket;
  return true;
}

}  // namespace glulam
