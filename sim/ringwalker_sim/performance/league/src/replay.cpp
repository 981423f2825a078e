// Gives recorded inputs to a model of a device, cycle by cycle, and compares its outputs with the recorded ones.
//
//   replay FILE
//
// FILE has numbers of 8 bytes: how many cycles, the cycle from which on time is taken, words of a row of inputs,
// words of a row of outputs; then the rows of inputs, and those of outputs. Printed are the cycles after which
// outputs were different, and what the timed cycles took: seconds of a processor, and seconds on the clock.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "engine.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int, char** arguments) {
  std::FILE* file = std::fopen(arguments[1], "rb");
  std::uint64_t head[4];
  if (file == nullptr || std::fread(head, sizeof head, 1, file) != 1) return 1;
  const auto [cycles, begin, in_words, out_words] = head;
  std::vector<std::uint32_t> inputs(cycles * in_words), wanted(cycles * out_words), found(out_words);
  if (std::fread(inputs.data(), 4, inputs.size(), file) != inputs.size()) return 1;
  if (std::fread(wanted.data(), 4, wanted.size(), file) != wanted.size()) return 1;
  std::fclose(file);

  Engine engine(inputs.data());
  std::uint64_t different = 0;
  double wall = 0;
  double cpu = 0;
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    if (cycle == begin) {
      wall = now();
      cpu = processor();
    }
    engine.outputs(found.data());
    different += std::memcmp(found.data(), wanted.data() + cycle * out_words, 4 * out_words) != 0;
    if (cycle + 1 < cycles) engine.step(inputs.data() + (cycle + 1) * in_words);
  }
  std::printf("%llu %f %f\n", static_cast<unsigned long long>(different), processor() - cpu, now() - wall);
  return 0;
}
