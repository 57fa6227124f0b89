// The kernels, portable.
#define GLULAM_ISA plain
#define GLULAM_LANES 4
#include "kernels/parts/kernels_table.inc"
