// The kernels, compiled for avx512 with BF16, whose products attention then takes (build.mjs gives the flags).
#define GLULAM_ISA avx512bf16
#define GLULAM_LANES 16
#include "kernels/parts/kernels_table.inc"
