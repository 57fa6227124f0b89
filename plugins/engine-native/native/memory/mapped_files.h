// Files that are read where they lie, as memory; and what happens where a part of one is gone when it is read.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace glulam {

// A part of a mapped file could not be read: what was computed from it is worth nothing.
struct FileLost : std::runtime_error {
  FileLost(const std::string& message, size_t file_, size_t offset_)
      : std::runtime_error(message), file(file_), offset(offset_) {}
  size_t file;    // its number in MappedFiles
  size_t offset;  // the byte that was asked for first
};

struct MappedRegion;

// A file mapped whole, read-only: its pages belong to the system's cache and are shared with every process that reads it.
//
// Reading a page that the file no longer has (it was cut short), or that the disk fails to give, raises SIGBUS. On Linux
// such a page, and all after it, become pages of zeros, and the file counts as lost from then on. Elsewhere the process
// ends, as it does with any mapped file.
class MappedFile {
 public:
  // Throws std::runtime_error when it cannot be opened or mapped.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Throws FileLost, with this number, when a part of it could not be read.
  void checkIntact(size_t number) const;

 private:
  const std::string path_;
  const char* data_ = nullptr;
  size_t bytes_ = 0;
  MappedRegion* region_ = nullptr;
};

// Files by number; each path is mapped once. For any thread.
class MappedFiles {
 public:
  size_t open(const std::string& path);
  const MappedFile& at(size_t file) const;
  size_t bytes() const;
  // Throws FileLost when a part of any of them could not be read, by whatever thread. Costs one load where none was.
  // For one thread.
  void checkIntact();

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, size_t> byPath_;
  size_t faultsSeen_ = 0;
};

}  // namespace glulam
