// How fast this machine computes a class of products, to choose an instruction set for it.
#pragma once
#include "gemm/gemm.h"

namespace glulam {

// GFLOP/s of one product of the class, on one thread: an example of its shapes, with weights and rows of bfloat16 or of
// float32. Takes milliseconds. What it allocates stays with the thread. Throws std::invalid_argument as gemm does.
double productRate(Isa isa, Pass pass, Rows rows, bool bfloat16);

}  // namespace glulam
