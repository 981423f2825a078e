// The face to ctypes. Python checks arguments.
#include "runner.h"

using rw::fuzz::Runner;

extern "C" {

Runner* rwf_open(rw::CompanionHost* host, const rw::fuzz::Settings* settings) noexcept { return new Runner(*host, *settings); }

void rwf_close(Runner* runner) noexcept { delete runner; }

// The companion that rw_accompany takes.
rw::Companion* rwf_companion(Runner* runner) noexcept { return runner; }

void rwf_begin(Runner* runner, const rw::fuzz::Record* records, std::uint64_t count, std::uint64_t body,
               std::uint64_t recovery) noexcept {
  runner->begin({records, count}, body, recovery);
}

std::uint64_t rwf_findings(Runner* runner, rw::fuzz::FoundText* out, std::uint64_t room) noexcept {
  const auto& all = runner->findings().all();
  for (std::size_t i = 0; i < all.size() && i < room; ++i) {
    out[i] = {all[i].rule.c_str(), all[i].text.c_str(), all[i].cycle, all[i].operation};
  }
  return all.size();
}

}  // extern "C"
