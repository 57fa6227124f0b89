// The lists that commands.cc joins, and what they share. What each command's arguments are: src/commands/layouts.ts.
#pragma once
#include <vector>

#include "commands/arguments.h"
#include "commands/commands.h"

namespace glulam {

std::vector<Operation> linearOperations();
std::vector<Operation> elementOperations();
std::vector<Operation> fusedOperations();

// `elements` of x from `first` on, to `out` of `type`.
void convert(const Call& call, const Tensor& x, size_t first, size_t elements, void* out, DType type);

}  // namespace glulam
