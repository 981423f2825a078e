#include "split_rules.h"

#include <algorithm>
#include <cinttypes>

namespace rw::fuzz {
namespace {

constexpr std::uint64_t index_offset = 2;  // of both rings
constexpr std::uint64_t entries_offset = 4;
constexpr std::uint64_t entry_bytes = 2;
constexpr std::uint64_t element_bytes = 8;
constexpr std::uint64_t event_index_bytes = 2;

}  // namespace

SplitRules::SplitRules(const QueueAreas& a, Findings& findings)
    : QueueRules(a, findings),
      tables_(a.desc, a.size, false, a.indirect),
      device_({a.device, entries_offset + element_bytes * a.size + event_index_bytes}),
      entries_(a.size),
      elements_(a.size) {}

void SplitRules::take(const Shown& shown, const Piece& piece) {
  tables_.take(shown, piece);
  const QueueAreas& a = areas();
  if (!Range{a.driver, entries_offset + entry_bytes * a.size}.meets(piece.range())) return;
  std::uint8_t raw[2];
  Order order;
  for (std::uint64_t slot = 0; slot < a.size; ++slot) {
    const Range place{a.driver + entries_offset + entry_bytes * slot, entry_bytes};
    if (!place.meets(piece.range()) || !shown.get(place.begin, sizeof raw, raw, order)) continue;
    const auto head = static_cast<std::uint16_t>(raw[0] | raw[1] << 8);
    std::vector<Entry>& entries = entries_[slot];
    const auto same = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.head == head; });
    if (same != entries.end()) {
      same->last = std::max(same->last, order);
    } else {
      entries.push_back({head, order});
    }
  }
  const Range index{a.driver + index_offset, sizeof raw};
  if (index.meets(piece.range()) && shown.get(index.begin, sizeof raw, raw, order)) {
    covered(static_cast<std::uint16_t>(raw[0] | raw[1] << 8), order);
  }
}

// The device has seen an available index. One that is too far ahead covers nothing.
void SplitRules::covered(std::uint16_t index, Order order) {
  const auto more = static_cast<std::uint16_t>(index - static_cast<std::uint16_t>(available_));
  if (more > areas().size) return;
  for (unsigned i = 0; i < more; ++i) offers_.push_back({available_++, order});
  while (offers_.size() > most_offers * areas().size) offers_.pop_front();
}

// What an offer's head can be: what its entry was shown as, not before the index.
std::vector<std::uint16_t> SplitRules::heads(const Offer& offer) const {
  std::vector<std::uint16_t> found;
  for (const Entry& entry : entries_[offer.position % areas().size]) {
    if (entry.last >= offer.covered) found.push_back(entry.head);
  }
  return found;
}

void SplitRules::visit_chain(std::uint16_t head, Order order, const Tables::Visit& visit) const {
  std::vector<std::uint64_t> rows{head};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const Version& v : tables_.main().versions(rows[i])) {
      if (v.last < order) continue;
      tables_.visit(v.descriptor, order, true, visit);
      const std::uint64_t next = v.descriptor.fourth;
      const bool more = (v.descriptor.third & desc_next) != 0 && !tables_.indirect(v.descriptor);
      if (more && std::find(rows.begin(), rows.end(), next) == rows.end()) rows.push_back(next);
    }
  }
}

template <class Visit>
void SplitRules::each_chain(Visit&& visit) {
  for (Offer& offer : offers_) {
    for (const std::uint16_t head : heads(offer)) {
      visit_chain(head, offer.covered, [&](Tables::Grant grant, const Range& range) { visit(offer, grant, range); });
    }
  }
}

bool SplitRules::may_read(const Range& range) {
  const QueueAreas& a = areas();
  if (tables_.main().range().holds(range)) return true;
  if (Range{a.driver, entries_offset + entry_bytes * a.size + event_index_bytes}.holds(range)) return true;
  // Descriptors may be read ahead, for a head that is only guessed, but nothing that they point to.
  bool granted = tables_.in_indirect(range);
  if (granted) return true;
  each_chain([&](Offer&, Tables::Grant grant, const Range& buffer) {
    granted = granted || (grant != Tables::Grant::WRITE && buffer.holds(range));
  });
  return granted;
}

bool SplitRules::fills(const Range& range) {
  bool granted = false;
  Offer* last = nullptr;
  each_chain([&](Offer& offer, Tables::Grant grant, const Range& buffer) {
    if (grant != Tables::Grant::WRITE || !buffer.holds(range)) return;
    if (last != &offer) offer.written += range.size;
    last = &offer;
    granted = true;
  });
  return granted;
}

bool SplitRules::write(std::uint64_t address, std::span<const std::uint8_t> bytes, bool other) {
  const Range range{address, bytes.size()};
  lost_ = lost_ || (other && device_.area().meets(range));
  if (!device_.area().holds(range)) return false;
  if (!lost_) judge_used(address, bytes);
  return true;
}

void SplitRules::judge_used(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  device_.put(address, bytes);
  const std::uint64_t from = address - areas().device;
  const std::uint64_t to = from + bytes.size();
  if (from < entries_offset && to > index_offset && device_.has(index_offset, 2)) judge_index();
  for (std::size_t slot = 0; slot < areas().size; ++slot) {
    const std::size_t at = entries_offset + element_bytes * slot;
    if (to > at && from < at + element_bytes && device_.has(at, element_bytes)) judge_element(slot);
  }
}

void SplitRules::judge_element(std::size_t slot) {
  const std::size_t at = entries_offset + element_bytes * slot;
  const std::uint64_t id = device_.number(at, 4);
  const std::uint64_t length = device_.number(at + 4, 4);
  device_.drop(at, element_bytes);
  elements_[slot] = true;
  std::uint64_t most = 0;
  bool found = false;
  auto used = offers_.end();
  for (auto offer = offers_.begin(); offer != offers_.end(); ++offer) {
    const std::vector<std::uint16_t> possible = heads(*offer);
    if (std::find(possible.begin(), possible.end(), id) == possible.end()) continue;
    most = std::max(most, offer->written);
    if (!found && possible.size() == 1) used = offer;
    found = true;
  }
  if (!found) {
    findings().add("used", "queue %u: used element %zu has head %" PRIu64 ", which is not available", areas().number, slot, id);
  } else if (length > most) {
    findings().add("length", "queue %u: used element %zu says %" PRIu64 " bytes; %" PRIu64 " were written", areas().number, slot, length,
                   most);
  }
  if (used == offers_.end()) return;
  // In order, those before it are used with it.
  offers_.erase(areas().in_order ? offers_.begin() : used, used + 1);
}

void SplitRules::judge_index() {
  const auto index = static_cast<std::uint16_t>(device_.number(index_offset, 2));
  device_.drop(index_offset, 2);
  const auto more = static_cast<std::uint16_t>(index - static_cast<std::uint16_t>(used_));
  if (more > areas().size || used_ + more > available_) {
    findings().add("ahead", "queue %u: the used index is %u; %" PRIu64 " of %" PRIu64 " chains were used", areas().number, index, used_,
                   available_);
    return;
  }
  for (unsigned i = 0; i < more; ++i, ++used_) {
    const std::size_t slot = used_ % areas().size;
    if (!elements_[slot] && !(areas().in_order && i != 0)) {
      findings().add("element", "queue %u: the used index is %u; element %zu was not written", areas().number, index, slot);
    }
    elements_[slot] = false;
  }
}

}  // namespace rw::fuzz
