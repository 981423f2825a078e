// What breaks a rule, and during which operation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rw::fuzz {

struct Finding {
  std::string rule;
  std::string text;
  std::uint64_t cycle;
  std::uint64_t operation;
};

class Findings {
 public:
  // Where the case is.
  std::uint64_t cycle = 0;
  std::uint64_t operation = 0;

  void clear() { all_.clear(); }
  const std::vector<Finding>& all() const { return all_; }

  // The first few are kept.
  void add(const char* rule, const char* format, ...) __attribute__((format(printf, 3, 4)));

 private:
  static constexpr std::size_t most = 8;
  std::vector<Finding> all_{};
};

}  // namespace rw::fuzz
