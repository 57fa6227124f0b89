// Included before the sources of tfjs-node's addon when `glulam-tfjs setup` compiles them.
//
// The addon hands operations an attribute that is one text or a list of integers, but no list of texts, types or shapes,
// which the operation XlaCallModule has. What TensorFlow declares as such a list is given to it as one: a text as a list of
// one, integers as types by their numbers, or as shapes, each its number of dimensions and these.
//
// And threads that wait for work sleep at once, where TensorFlow's default is that they spin for a while: a spinning one holds
// the core that the next operation's thread would wake on, and two threads then share another for milliseconds.
#ifndef GLULAM_ADDON_ADDITIONS_H_
#define GLULAM_ADDON_ADDITIONS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensorflow/c/eager/c_api.h"

namespace glulam {

// The field numbers of tensorflow/core/protobuf/config.proto: ConfigProto.experimental.disable_thread_spinning = true.
inline TFE_ContextOptions* NewContextOptions() {
  constexpr unsigned char config[] = {(16 << 3 | 2) & 0x7f | 0x80, (16 << 3 | 2) >> 7, 2, 9 << 3, 1};
  TFE_ContextOptions* options = TFE_NewContextOptions();
  TF_Status* status = TF_NewStatus();
  TFE_ContextOptionsSetConfig(options, config, sizeof config, status);
  TF_DeleteStatus(status);
  return options;
}

struct Declared {
  TF_AttrType type;
  bool is_list;
};

// An attribute that the operation lacks is no list; TensorFlow refuses it when it runs.
inline Declared DeclaredOf(TFE_Op* op, const char* name) {
  unsigned char is_list = 0;
  TF_Status* status = TF_NewStatus();
  const TF_AttrType type = TFE_OpGetAttrType(op, name, &is_list, status);
  const bool known = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return {type, known && is_list != 0};
}

inline void SetText(TFE_Op* op, const char* name, const void* value, size_t length) {
  const Declared declared = DeclaredOf(op, name);
  if (declared.is_list && declared.type == TF_ATTR_STRING) {
    TFE_OpSetAttrStringList(op, name, &value, &length, 1);
  } else {
    TFE_OpSetAttrString(op, name, value, length);
  }
}

inline void SetIntegers(TFE_Op* op, const char* name, const int64_t* values, int count) {
  const Declared declared = DeclaredOf(op, name);
  if (declared.is_list && declared.type == TF_ATTR_TYPE) {
    std::vector<TF_DataType> types;
    for (int i = 0; i < count; ++i) types.push_back(static_cast<TF_DataType>(values[i]));
    TFE_OpSetAttrTypeList(op, name, types.data(), count);
  } else if (declared.is_list && declared.type == TF_ATTR_SHAPE) {
    std::vector<const int64_t*> shapes;
    std::vector<int> ranks;
    for (int i = 0; i < count; i += 1 + ranks.back()) {
      const int left = count - i - 1;
      ranks.push_back(values[i] >= 0 && values[i] <= left ? static_cast<int>(values[i]) : left);
      shapes.push_back(values + i + 1);
    }
    TF_Status* status = TF_NewStatus();
    TFE_OpSetAttrShapeList(op, name, shapes.data(), ranks.data(), static_cast<int>(ranks.size()), status);
    TF_DeleteStatus(status);
  } else {
    TFE_OpSetAttrIntList(op, name, values, count);
  }
}

}  // namespace glulam

#define TFE_NewContextOptions glulam::NewContextOptions
#define TFE_OpSetAttrString glulam::SetText
#define TFE_OpSetAttrIntList glulam::SetIntegers

#endif  // GLULAM_ADDON_ADDITIONS_H_
