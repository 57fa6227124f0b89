// Mapped files that become shorter while they are read: the reading goes on, the loss is known, and nobody else's signal is taken.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "test/kernels_test_support.h"
#include "memory/mapped_files.h"
#include "threads/pool.h"

using namespace glulam;

namespace {

constexpr size_t mebibyte = size_t(1) << 20;
const size_t page = size_t(sysconf(_SC_PAGESIZE));

// A file of ones that is gone when the test ends.
class TestFile {
 public:
  explicit TestFile(size_t bytes) {
    char name[] = "/tmp/glulam-mapped-XXXXXX";
    const int file = mkstemp(name);
    path_ = name;
    close(file);
    fill(bytes);
  }
  ~TestFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  void cut(size_t bytes) const {
    if (truncate(path_.c_str(), off_t(bytes)) != 0) std::abort();
  }
  // Anew: what was cut off is there again.
  void fill(size_t bytes) const {
    FILE* file = std::fopen(path_.c_str(), "wb");
    const std::string ones(bytes, 1);
    if (!file || std::fwrite(ones.data(), 1, bytes, file) != bytes) std::abort();
    std::fclose(file);
  }

 private:
  std::string path_;
};

size_t sum(const char* data, size_t bytes) {
  size_t total = 0;
  for (size_t i = 0; i < bytes; i++) total += size_t(static_cast<const volatile char*>(data)[i]);
  return total;
}

// The message, or "" where nothing is lost.
std::string lossOf(MappedFiles& files, size_t number = 0, size_t* offset = nullptr) {
  try {
    files.checkIntact();
    return "";
  } catch (const FileLost& lost) {
    expect(lost.file == number, "a loss has the number of another file");
    if (offset) *offset = lost.offset;
    return lost.what();
  }
}

#ifdef __linux__

// How a process ends that runs `body`, which returns an exit code.
template <class Body>
int statusOf(const Body& body) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

bool exitedWith(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

// A mapping that is not ours, with nothing behind it.
const char* mapNothing(const TestFile& file) {
  const int handle = open(file.path().c_str(), O_RDONLY);
  void* data = mmap(nullptr, page, PROT_READ, MAP_SHARED, handle, 0);
  close(handle);
  file.cut(0);
  return static_cast<const char*>(data);
}

void openOne(MappedFiles& files, const TestFile& file) { expect(files.open(file.path()) == 0, "the first has number 0"); }

// In processes of their own, since a handler is set once in each; before there are threads.
void testOtherSignals() {
  const TestFile ours(page), theirs(page);
  const auto touchTheirs = [&] { return int(sum(mapNothing(theirs), 1)); };
  struct sigaction action = {};

  const int detailed = statusOf([&] {
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) { _exit(info->si_addr ? 7 : 8); };
    sigaction(SIGBUS, &action, nullptr);
    MappedFiles files;
    openOne(files, ours);
    return touchTheirs();
  });
  expect(exitedWith(detailed, 7), "a fault elsewhere does not reach a handler with details");

  action = {};
  const int plain = statusOf([&] {
    action.sa_handler = [](int) { _exit(9); };
    sigaction(SIGBUS, &action, nullptr);
    MappedFiles files;
    openOne(files, ours);
    return touchTheirs();
  });
  expect(exitedWith(plain, 9), "a fault elsewhere does not reach a plain handler");

  for (const bool isSent : {false, true}) {
    const int standard = statusOf([&] {
      action.sa_handler = SIG_DFL;
      sigaction(SIGBUS, &action, nullptr);
      MappedFiles files;
      openOne(files, ours);
      if (isSent) return raise(SIGBUS);
      return touchTheirs();
    });
    expect(WIFSIGNALED(standard) && WTERMSIG(standard) == SIGBUS,
           isSent ? "a signal that was sent does not end the process" : "a fault elsewhere does not end the process");
  }

  const int ignored = statusOf([&] {
    action.sa_handler = SIG_IGN;
    sigaction(SIGBUS, &action, nullptr);
    MappedFiles files;
    openOne(files, ours);
    raise(SIGBUS);
    return 3;
  });
  expect(exitedWith(ignored, 3), "a signal that was sent is not ignored as before");
}

void testCutShort() {
  const TestFile cut(64 * page), whole(8 * page);
  MappedFiles files, others;
  const size_t number = files.open(whole.path());
  const size_t lost = files.open(cut.path());
  others.open(whole.path());
  expect(lossOf(files) == "" && sum(files.at(lost).data(), 64 * page) == 64 * page, "a whole file is lost");
  cut.cut(10 * page + 5);
  expect(lossOf(files) == "", "a loss is told before anybody read");
  // What is left is read as before, and zeros to the end of its last page.
  expect(sum(files.at(lost).data(), 11 * page) == 10 * page + 5 && lossOf(files) == "", "what is left cannot be read");

  expect(sum(files.at(lost).data() + 20 * page + 3, 30 * page) == 0, "what is gone is not zeros");
  size_t offset = 0;
  const std::string message = lossOf(files, lost, &offset);
  expect(offset == 20 * page + 3, "the first byte that is gone is " + std::to_string(offset));
  const std::string had = std::to_string(64 * page), has = std::to_string(10 * page + 5);
  expect(message == cut.path() + " became shorter while it was being read: it has " + has + " bytes, expected the " + had +
                        " that it had",
         "the message is " + message);
  expect(sum(files.at(lost).data(), 64 * page) == 10 * page + 5, "a part before the first one that is gone");
  lossOf(files, lost, &offset);
  expect(offset == 20 * page + 3, "a later fault takes the place of the first");
  expect(lossOf(others) == "" && sum(files.at(number).data(), 8 * page) == 8 * page, "another file is lost too");

  cut.fill(64 * page);
  expect(lossOf(files, lost).find("could not be read at byte") != std::string::npos, "a file that is back is no loss");
  MappedFiles again;
  expect(sum(again.at(again.open(cut.path())).data(), 64 * page) == 64 * page && lossOf(again) == "",
         "a file that is back cannot be read anew");
}

// All threads of two pools at once, each of a number of mappings of the file.
void testManyThreads() {
  const TestFile file(16 * mebibyte);
  std::vector<std::unique_ptr<MappedFiles>> all;
  for (int i = 0; i < 4; i++) {
    all.push_back(std::make_unique<MappedFiles>());
    all.back()->open(file.path());
  }
  file.cut(5 * mebibyte);
  std::atomic<size_t> total{0}, known{0};
  const auto readAll = [&](size_t from) {
    Pool pool(4);
    for (size_t i = from; i < all.size(); i += 2) {
      const char* data = all[i]->at(0).data();
      pool.forEach(16 * mebibyte, 64 * 1024, [&](size_t begin, size_t end) { total += sum(data + begin, end - begin); });
      try {
        all[i]->checkIntact();
      } catch (const FileLost&) {
        known++;
      }
    }
  };
  std::thread other([&] { readAll(1); });
  readAll(0);
  other.join();
  expect(known == all.size(), "of the losses of many mappings " + std::to_string(known) + " are known");
  // Each mapping has lost what is beyond, and nothing before.
  expect(total == 4 * 5 * mebibyte, "the sum of all is " + std::to_string(total));
}

// What is cut off may be millions of pages.
void testHugeFile() {
  const TestFile file(0);
  file.cut(size_t(64) << 30);
  MappedFiles files;
  const char* data = files.at(files.open(file.path())).data();
  file.cut(0);
  size_t total = 0;
  for (size_t at = 0; at < size_t(64) << 30; at += 64 * page) total += sum(data + at, 1);
  expect(total == 0 && lossOf(files) != "", "a large file that is emptied is not lost");
}

// Records of mappings serve again: the loss of an old one is not that of the next.
void testRecords() {
  const TestFile file(4 * page);
  for (int i = 0; i < 50; i++) {
    file.fill(4 * page);
    MappedFiles files;
    const char* data = files.at(files.open(file.path())).data();
    expect(lossOf(files) == "", "a fresh mapping is lost");
    if (i % 2) continue;
    file.cut(0);
    sum(data, 4 * page);
    expect(lossOf(files) != "", "a loss is not known");
  }
}

#endif

}  // namespace

int main() {
#ifdef __linux__
  testOtherSignals();
  testCutShort();
  testManyThreads();
  testHugeFile();
  testRecords();
#else
  const TestFile file(page);
  MappedFiles files;
  expect(sum(files.at(files.open(file.path())).data(), page) == page && lossOf(files) == "", "a file cannot be read");
#endif
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
