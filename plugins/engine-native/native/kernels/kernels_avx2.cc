// The kernels, compiled for avx2 (build.mjs gives the flags).
#define GLULAM_ISA avx2
#define GLULAM_LANES 8
#include "kernels/parts/kernels_table.inc"
