#include "probes.h"

#include <bit>

namespace rw {

// A lane has a word of flags, and two words for each stage: see timeline/stages.py.
void Probes::transfer() {
  if (!shared_.timeline.on() || !port::probes::valid(pins_.model())) return;
  port::probes::get(pins_.model(), words_);
  std::uint32_t lane = 0;
  for (std::size_t at = 0; at < words_.size(); at += lane_words, ++lane) {
    for (std::uint32_t flags = words_[at]; flags != 0; flags &= flags - 1) {
      const auto stage = static_cast<std::uint32_t>(std::countr_zero(flags));
      const std::uint32_t* item = &words_[at + 1 + item_words * stage];
      const std::uint32_t queue = item[0] & ((1u << queue_bits) - 1);
      const std::uint32_t id = item[0] >> queue_bits;
      const auto kind = static_cast<TimelineKind>(static_cast<std::uint32_t>(TimelineKind::STAGE) + stage);
      shared_.timeline.add(kind, {shared_.now, shared_.now, item[1], 0, queue, id, 0, lane, 0});
    }
  }
}

}  // namespace rw
