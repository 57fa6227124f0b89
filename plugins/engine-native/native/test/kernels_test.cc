// Kernels against naive loops in double precision: `kernels_test [ISA]`, by default all the machine has.
// Each call runs on 1, 2 and 3 threads and must give the same bits; outputs hold poison before and lie between guards.
// The tolerance of each comparison stands with it.
#include "test/kernels_test_attention.h"
#include "test/kernels_test_elements.h"
#include "test/kernels_test_layer.h"
#include "test/kernels_test_rows.h"
#include "gemm/gemm.h"

using namespace glulam;

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  std::vector<std::unique_ptr<Pool>> pools;
  for (int threads = 1; threads <= 3; threads++) pools.push_back(std::make_unique<Pool>(threads));
  bool known = only.empty();
  for (const Isa isa : allIsas) {
    if (!only.empty() && only != isaName(isa)) continue;
    known = true;
    if (!supported(isa)) {
      std::printf("%s: skipped, not supported here\n", isaName(isa));
      continue;
    }
    const Bench bench = {kernels(isa), pools, isaName(isa)};
    testElements(bench);
    testRows(bench);
    testLayer(bench);
    testAttention(bench);
  }
  if (!known) {
    std::printf("unknown instruction set %s; there are", only.c_str());
    for (const Isa isa : allIsas) std::printf(" %s", isaName(isa));
    std::printf("\n");
    return 2;
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
