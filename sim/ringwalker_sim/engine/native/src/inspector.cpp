#include "inspector.h"

#include <algorithm>
#include <cstring>

#include "host.h"

namespace rw {

void Inspector::compare(VerilatedContext& context) {
  plain_ = std::make_unique<Vringwalker>(&context, "plain");
  auto* plain = reinterpret_cast<std::uint8_t*>(plain_->rootp);
  std::vector<Range> all;
  for (std::size_t i = 0; i < signal_count; ++i) all.push_back({signals[i].offset, signals[i].offset + signals[i].size});
  std::sort(all.begin(), all.end(), [](const Range& one, const Range& other) { return one.begin < other.begin; });
  ranges_.clear();
  for (const Range& range : all) {
    if (ranges_.empty() || range.begin > ranges_.back().end + most_padding) {
      ranges_.push_back(range);
      continue;
    }
    Range& last = ranges_.back();
    std::memcpy(plain + last.end, model() + last.end, range.begin - last.end);
    last.end = range.end;
  }
}

bool Inspector::same() const {
  const auto* plain = reinterpret_cast<const std::uint8_t*>(plain_->rootp);
  return std::all_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return std::memcmp(model() + range.begin, plain + range.begin, range.end - range.begin) == 0;
  });
}

void Inspector::record(std::uint64_t cycles, std::uint64_t period) {
  cycles_ = cycles;
  period_ = period;
  position_ = recorded_ = 0;
  before_.assign(root_bytes, 0);
  changes_.assign(signal_count, {});
}

void Inspector::edge() {
  if (plain_) follow();
  if (period_ != 0) note();
}

void Inspector::follow() {
  Root& plain = *plain_->rootp;
  copy_inputs(*pins_.root(), plain);
  if (evaluations_ != pins_.evaluations()) {
    evaluations_ = pins_.evaluations();
    inputs_changed = true;
    plain_->eval();
  }
  rising_edge(&plain);
  if (same()) return;
  const auto* wanted = reinterpret_cast<const std::uint8_t*>(&plain);
  unsigned different = 0;
  for (std::size_t i = 0; i < signal_count && different < most_different; ++i) {
    const Signal& signal = signals[i];
    if (std::memcmp(model() + signal.offset, wanted + signal.offset, signal.size) == 0) continue;
    ++different;
    shared_.violation("the model's %.200s is not what the plain model makes of it", signal.name);
  }
  if (different != 0) plain_.reset();  // from here on everything differs
}

// The first cycle of a period is not noted: what was before it is not known.
void Inspector::note() {
  const std::uint64_t position = position_;
  position_ = position_ + 1 == period_ ? 0 : position_ + 1;
  if (position > cycles_) return;
  if (position != 0) {
    for (std::size_t i = 0; i < signal_count; ++i) {
      const Signal& signal = signals[i];
      std::vector<std::uint8_t>& bits = changes_[i];
      if (recorded_ % 8 == 0) bits.push_back(0);
      const bool same = std::memcmp(model() + signal.offset, before_.data() + signal.offset, signal.size) == 0;
      if (!same) bits.back() = static_cast<std::uint8_t>(bits.back() | 1u << recorded_ % 8);
    }
    ++recorded_;
  }
  std::memcpy(before_.data(), model(), root_bytes);
}

}  // namespace rw

extern "C" {

const rw::Steps* rw_steps() noexcept {
  static constexpr rw::Steps steps{rw::make_chunks, rw::drop_chunks, rw::run_all, rw::step};
  return &steps;
}

rw::Chunks* rw_chunks(rw::Host* host) noexcept { return host->chunks(); }

std::uint64_t rw_signal_count(rw::Host*) noexcept { return rw::signal_count; }

const char* rw_signal_name(rw::Host*, std::uint64_t signal) noexcept { return rw::signals[signal].name; }

void rw_record(rw::Host* host, std::uint64_t cycles, std::uint64_t period) noexcept {
  host->inspector().record(cycles, period);
}

std::uint64_t rw_recorded(rw::Host* host) noexcept { return host->inspector().recorded(); }

// The bits of a variable, lowest first; out has room for all.
void rw_recorded_changes(rw::Host* host, std::uint64_t signal, std::uint8_t* out) noexcept {
  const auto& bits = host->inspector().changes(signal);
  std::memcpy(out, bits.data(), bits.size());
}

}  // extern "C"
