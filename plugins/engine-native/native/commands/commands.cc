#include "commands/commands.h"

#include <cstring>
#include <stdexcept>

#include "commands/command_groups.h"

namespace glulam {

Store::~Store() {
  for (uint32_t id = 0; id < tensors_.size(); id++) free(id);
}

Tensor& Store::make(uint32_t id, DType type, size_t elements) {
  Tensor& tensor = slot(id);
  void* data = memory_.take(elements * bytesOf(type));
  return tensor = {data, elements, type, true, false};
}

Tensor& Store::slot(uint32_t id) {
  if (id < tensors_.size() && tensors_[id].alive) throw std::logic_error("tensor " + std::to_string(id) + " exists");
  if (id > 0x7fffffff) throw std::logic_error("a result has no number");
  if (id >= tensors_.size()) tensors_.resize(id + 1);
  return tensors_[id];
}

void Store::map(uint32_t id, DType type, size_t elements, size_t file, size_t offset) {
  const MappedFile& mapped = files_.at(file);
  const size_t bytes = mapped.bytes();
  if (offset > bytes || elements > (bytes - offset) / bytesOf(type)) {
    throw std::logic_error("a weight reaches beyond its file");
  }
  slot(id) = {const_cast<char*>(mapped.data()) + offset, elements, type, true, true};
}

void Store::mapEncoded(uint32_t id, Encoded weight, const std::vector<size_t>& files,
                       const std::vector<size_t>& offsets) {
  if (files.size() != shapeOf(weight.format).parts) {
    throw std::logic_error("a weight has " + std::to_string(files.size()) + " parts; its format has " +
                           std::to_string(shapeOf(weight.format).parts));
  }
  for (size_t part = 0; part < files.size(); part++) {
    const MappedFile& mapped = files_.at(files[part]);
    if (offsets[part] > mapped.bytes() || weight.bytesOfPart(part) > mapped.bytes() - offsets[part]) {
      throw std::logic_error("a weight reaches beyond its file");
    }
    weight.parts[part] = reinterpret_cast<const uint8_t*>(mapped.data()) + offsets[part];
  }
  const size_t elements = weight.rows * weight.columns;
  slot(id) = {nullptr, elements, DType::f32, true, true, std::make_shared<const Encoded>(std::move(weight))};
}

Tensor& Store::at(uint32_t id) {
  if (id >= tensors_.size() || !tensors_[id].alive) throw std::logic_error("there is no tensor " + std::to_string(id));
  return tensors_[id];
}

void Store::free(uint32_t id) {
  if (id >= tensors_.size() || !tensors_[id].alive) return;
  Tensor& tensor = tensors_[id];
  if (!tensor.mapped) memory_.give(tensor.data, tensor.elements * bytesOf(tensor.type));
  tensor = {};
}

Tensor& Call::in(size_t i, size_t elements) const {
  Tensor& tensor = weight(i, elements);
  if (tensor.encoded) throw std::logic_error("operand " + std::to_string(i) + " is an encoded weight");
  return tensor;
}

Tensor& Call::weight(size_t i, size_t elements) const {
  Tensor& tensor = store.at(ids_.at(i));
  if (tensor.elements == elements) return tensor;
  throw std::logic_error("operand " + std::to_string(i) + " has " + std::to_string(tensor.elements) + " elements; " +
                         std::to_string(elements) + " were expected");
}

Tensor& Call::in(size_t i, size_t elements, DType type) const {
  Tensor& tensor = in(i, elements);
  if (tensor.type != type) throw std::logic_error("operand " + std::to_string(i) + " has another dtype than expected");
  return tensor;
}

Tensor& Call::own(size_t i, size_t elements) const {
  Tensor& tensor = in(i, elements);
  if (tensor.mapped) throw std::logic_error("a frozen weight cannot be written");
  return tensor;
}

Tensor& Call::own(size_t i, size_t elements, DType type) const {
  in(i, elements, type);
  return own(i, elements);
}

namespace {

void upload(const Call& call) {
  const UploadArguments given(call);
  const Tensor& out = call.make(given.y, given.type, given.elements);
  if (call.payload.size() != out.elements * bytesOf(out.type)) throw std::logic_error("the payload has another size");
  if (!call.payload.empty()) std::memcpy(out.data, call.payload.data(), call.payload.size());
}

void empty(const Call& call) {
  const EmptyArguments given(call);
  call.make(given.y, given.type, given.elements);
}

// For what a command frees before it runs.
void nothing(const Call&) {}

void weight(const Call& call) {
  const WeightArguments given(call);
  call.store.map(call.id(given.y), given.type, given.elements, given.file, given.offset);
}

void encodedWeight(const Call& call) {
  const EncodedWeightArguments given(call);
  if (given.format >= formatCount) throw std::logic_error("there is no such storage format");
  Encoded weight{Format(given.format), given.rows, given.columns, given.first, {}, {}};
  const auto* order = reinterpret_cast<const int32_t*>(call.payload.data());
  weight.order.assign(order, order + call.payload.size() / sizeof(int32_t));
  std::vector<size_t> files, offsets;
  for (size_t i = 0; i + 1 < given.places.size(); i += 2) {
    files.push_back(given.places[i]);
    offsets.push_back(given.places[i + 1]);
  }
  call.store.mapEncoded(call.id(given.y), std::move(weight), files, offsets);
}

void read(const Call& call) {
  const ReadArguments given(call);
  const Tensor& x = call.store.at(call.id(given.x));
  if (given.bytes != x.elements * 4) throw std::logic_error("the destination has another size");
  if (!x.encoded && (x.type == DType::f32 || x.type == DType::i32)) {
    if (x.elements > 0) std::memcpy(call.destination, x.data, x.elements * 4);
  } else {
    convert(call, x, 0, x.elements, call.destination, DType::f32);
  }
}

constexpr Operation storage[] = {
    {"upload", upload}, {"empty", empty}, {"free", nothing}, {"weight", weight}, {"encodedWeight", encodedWeight}, {"read", read},
};

}  // namespace

const std::vector<Operation>& operations() {
  // Never destroyed: a process that exits may still have a worker that reads it.
  static const auto* const all = [] {
    auto list = new std::vector<Operation>(std::begin(storage), std::end(storage));
    for (const auto& group : {linearOperations(), elementOperations(), fusedOperations()}) {
      list->insert(list->end(), group.begin(), group.end());
    }
    return list;
  }();
  return *all;
}

}  // namespace glulam
