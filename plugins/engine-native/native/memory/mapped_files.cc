#include "memory/mapped_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace glulam {

constexpr size_t nowhere = ~size_t(0);

// Where a file is mapped, for the signal handler, which may take no lock: records stay for ever, in a list that only
// grows, and serve another mapping once theirs is gone.
struct MappedRegion {
  std::atomic<uintptr_t> begin{0}, end{0};  // both 0: free
  std::atomic<size_t> firstFault{nowhere};  // offset of the first byte that could not be read
  MappedRegion* next = nullptr;
};

namespace {

std::atomic<MappedRegion*> regions{nullptr};
std::mutex registering;
// Of all mappings in the process: whoever computes looks for a lost file only when it has grown.
std::atomic<size_t> faults{0};

MappedRegion* registerRegion(const void* data, size_t bytes) {
  std::lock_guard<std::mutex> lock(registering);
  MappedRegion* region = regions.load();
  while (region && region->begin.load() != 0) region = region->next;
  if (!region) {
    region = new MappedRegion;
    region->next = regions.load();
    regions.store(region);
  }
  region->firstFault.store(nowhere);
  region->end.store(reinterpret_cast<uintptr_t>(data) + bytes);
  region->begin.store(reinterpret_cast<uintptr_t>(data));
  return region;
}

void releaseRegion(MappedRegion* region) {
  std::lock_guard<std::mutex> lock(registering);
  region->begin.store(0);
  region->end.store(0);
}

#ifdef __linux__

static_assert(std::atomic<size_t>::is_always_lock_free && std::atomic<void*>::is_always_lock_free,
              "a signal handler uses them");

struct sigaction previous;
uintptr_t pageBytes;

// What would have happened without this handler.
void passOn(int signal, siginfo_t* info, void* context) {
  if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  const bool wasSent = info->si_code <= 0;  // by kill() or the like, not by an access
  if (wasSent && previous.sa_handler == SIG_IGN) return;
  // An access is repeated on return and then ends the process; one that was sent has to be sent again.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  sigaction(signal, &standard, nullptr);
  if (wasSent) raise(signal);
}

// On the thread that reads, in the middle of a kernel: takes no lock and no memory.
void onBusError(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (MappedRegion* region = regions.load(); region && info->si_code > 0; region = region->next) {
    const uintptr_t begin = region->begin.load(), end = region->end.load();
    if (begin == 0 || address < begin || address >= end) continue;
    size_t none = nowhere;
    region->firstFault.compare_exchange_strong(none, address - begin);
    faults.fetch_add(1);
    // To the end at once: what was cut off is many pages, and a signal for each would take minutes. The kernel goes on
    // with zeros, and what it gives is thrown away.
    const uintptr_t page = address / pageBytes * pageBytes;
    void* const zeros = mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    errno = error;
    if (zeros == MAP_FAILED) break;
    return;
  }
  errno = error;
  passOn(signal, info, context);
}

void handleBusErrors() {
  static std::once_flag once;
  std::call_once(once, [] {
    pageBytes = uintptr_t(sysconf(_SC_PAGESIZE));
    struct sigaction action = {};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    // What is there is noted first: another thread may raise the signal as soon as the handler stands.
    sigaction(SIGBUS, nullptr, &previous);
    sigaction(SIGBUS, &action, nullptr);
  });
}

#else

void handleBusErrors() {}

#endif

std::string describeLoss(const std::string& path, size_t bytes, size_t offset) {
  struct stat status;
  const std::string had = std::to_string(bytes);
  if (stat(path.c_str(), &status) == 0 && size_t(status.st_size) < bytes) {
    return path + " became shorter while it was being read: it has " + std::to_string(status.st_size) +
           " bytes, expected the " + had + " that it had";
  }
  return path + " could not be read at byte " + std::to_string(offset) + " of " + had +
         ": it was shorter for a while, or the disk failed";
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const auto refuse = [&](const char* what) {
    throw std::runtime_error(std::string("cannot ") + what + " " + path + ": " + std::strerror(errno));
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse("open");
  struct stat status;
  const bool known = fstat(file, &status) == 0;
  bytes_ = known ? size_t(status.st_size) : 0;
  void* data = nullptr;
  if (bytes_ > 0) data = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  close(file);
  errno = error;
  if (!known) refuse("stat");
  if (data == MAP_FAILED) refuse("map");
  data_ = static_cast<const char*>(data);
  if (!data_) return;
  handleBusErrors();
  region_ = registerRegion(data_, bytes_);
}

MappedFile::~MappedFile() {
  if (!data_) return;
  releaseRegion(region_);
  munmap(const_cast<char*>(data_), bytes_);
}

void MappedFile::checkIntact(size_t number) const {
  const size_t offset = region_ ? region_->firstFault.load() : nowhere;
  if (offset != nowhere) throw FileLost(describeLoss(path_, bytes_, offset), number, offset);
}

size_t MappedFiles::open(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto known = byPath_.find(path);
  if (known != byPath_.end()) return known->second;
  files_.push_back(std::make_unique<MappedFile>(path));
  byPath_[path] = files_.size() - 1;
  return files_.size() - 1;
}

const MappedFile& MappedFiles::at(size_t file) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return *files_.at(file);
}

size_t MappedFiles::bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t sum = 0;
  for (const auto& file : files_) sum += file->bytes();
  return sum;
}

void MappedFiles::checkIntact() {
  const size_t now = faults.load(std::memory_order_acquire);
  if (now == faultsSeen_) return;
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < files_.size(); i++) files_[i]->checkIntact(i);
  faultsSeen_ = now;
}

}  // namespace glulam
