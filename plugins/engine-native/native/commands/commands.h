// What the worker can do, by name. JavaScript sends numbers; everything that could harm is checked here, when it runs.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "formats/formats.h"
#include "gemm/gemm.h"
#include "kernels/kernels.h"
#include "memory/mapped_files.h"
#include "memory/memory.h"
#include "threads/pool.h"
#include "types.h"

namespace glulam {

struct Tensor {
  void* data = nullptr;
  size_t elements = 0;
  DType type = DType::f32;
  bool alive = false;
  bool mapped = false;  // in a file: read-only, not ours to free
  std::shared_ptr<const Encoded> encoded = nullptr;  // a weight that is decoded as it is read, which has no data

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Tensors by the number that JavaScript gave them; a number is used again after its tensor is freed. Making one may move
// the records of all: copy a Tensor before. Values stay where they are.
class Store {
 public:
  Store(Memory& memory, MappedFiles& files) : memory_(memory), files_(files) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  Tensor& make(uint32_t id, DType type, size_t elements);
  void map(uint32_t id, DType type, size_t elements, size_t file, size_t offset);
  // `offsets` and `files`: of each part. The type is f32, as which it is read.
  void mapEncoded(uint32_t id, Encoded weight, const std::vector<size_t>& files, const std::vector<size_t>& offsets);
  // Throws std::logic_error when there is no such tensor.
  Tensor& at(uint32_t id);
  // Frees nothing when the command that was to make the tensor did not run.
  void free(uint32_t id);

 private:
  // The record of a tensor that is about to be made.
  Tensor& slot(uint32_t id);

  Memory& memory_;
  MappedFiles& files_;
  std::vector<Tensor> tensors_;
};

// One command as its function sees it. The accessors throw on what is missing or does not fit.
class Call {
 public:
  Call(Store& store_, Pool& pool_, const Choice& choice_, const std::vector<uint32_t>& ids, const std::vector<double>& params,
       const std::vector<char>& payload_, void* destination_)
      : store(store_), pool(pool_), choice(choice_), kernels(glulam::kernels(choice_.others)), payload(payload_),
        destination(destination_), ids_(ids), params_(params) {}

  Store& store;
  Pool& pool;
  const Choice& choice;
  const Kernels& kernels;
  const std::vector<char>& payload;
  void* const destination;

  uint32_t id(size_t i) const { return ids_.at(i); }
  size_t idCount() const { return ids_.size(); }
  bool has(size_t i) const { return i < ids_.size() && ids_[i] != none; }
  double number(size_t i) const { return params_.at(i); }
  size_t size(size_t i) const {
    const double value = params_.at(i);
    if (!(value >= 0 && value <= 9007199254740992.0)) throw std::logic_error("a parameter is no size");
    return size_t(value);
  }
  size_t paramCount() const { return params_.size(); }

  // A tensor of exactly `elements`, of any type, that may be an encoded weight.
  Tensor& weight(size_t i, size_t elements) const;
  // One whose elements lie in memory; with `type`, of that one.
  Tensor& in(size_t i, size_t elements) const;
  Tensor& in(size_t i, size_t elements, DType type) const;
  // One that the command changes in place: not a frozen weight.
  Tensor& own(size_t i, size_t elements) const;
  Tensor& own(size_t i, size_t elements, DType type) const;
  float* floats(size_t i, size_t elements) const { return in(i, elements, DType::f32).as<float>(); }
  // Like floats, or nullptr where the id is absent.
  float* optional(size_t i, size_t elements) const { return has(i) ? floats(i, elements) : nullptr; }
  Tensor& make(size_t i, DType type, size_t elements) const { return store.make(ids_.at(i), type, elements); }

  static constexpr uint32_t none = 0xffffffff;

 private:
  const std::vector<uint32_t>& ids_;
  const std::vector<double>& params_;
};

// Reads a command's parameters in order. native/commands/arguments.h, which is made from src/commands/layouts.ts, calls it.
class ArgumentReader {
 public:
  // Throws where the command has another number of operands, or fewer than these where others follow.
  ArgumentReader(const Call& call, size_t operands, bool andMore) : call_(call) {
    if (andMore ? call.idCount() < operands : call.idCount() != operands) throw std::logic_error("operands are missing");
  }
  size_t size() { return call_.size(at_++); }
  double number() { return call_.number(at_++); }
  bool flag() { return number() != 0; }
  template <class Enumeration>
  Enumeration oneOf(size_t members) {
    const size_t member = size();
    if (member >= members) throw std::logic_error("a parameter names no member of its enumeration");
    return Enumeration(member);
  }
  RandomKey key() {
    RandomKey key{};
    for (uint32_t* word : {&key.seed0, &key.seed1, &key.stream0, &key.stream1}) *word = uint32_t(size());
    return key;
  }
  std::vector<size_t> sizes() {
    std::vector<size_t> list(length());
    for (size_t& each : list) each = size();
    return list;
  }
  std::vector<double> numbers() {
    std::vector<double> list(length());
    for (double& each : list) each = number();
    return list;
  }
  // Throws where there are more parameters.
  void end() const {
    if (at_ != call_.paramCount()) throw std::logic_error("there are more parameters than the command has");
  }

 private:
  size_t length() {
    const size_t length = size();
    if (length > call_.paramCount() - at_) throw std::logic_error("a list is longer than the command");
    return length;
  }

  const Call& call_;
  size_t at_ = 0;
};

struct Operation {
  const char* name;
  void (*run)(const Call& call);
};

// In the order of the numbers that JavaScript uses for them.
const std::vector<Operation>& operations();

}  // namespace glulam
