// The kernels, compiled for avx512 (build.mjs gives the flags).
#define GLULAM_ISA avx512
#define GLULAM_LANES 16
#include "kernels/parts/kernels_table.inc"
