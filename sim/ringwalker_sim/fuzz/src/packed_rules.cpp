#include "packed_rules.h"

#include <algorithm>
#include <cinttypes>

namespace rw::fuzz {
namespace {

constexpr std::size_t length_offset = 8;  // in a descriptor
constexpr std::size_t id_offset = 12;
constexpr std::size_t flags_offset = 14;

bool bit(unsigned flags, unsigned mask) { return (flags & mask) != 0; }

}  // namespace

PackedRules::PackedRules(const QueueAreas& a, Findings& findings)
    : QueueRules(a, findings),
      tables_(a.desc, a.size, true, a.indirect),
      ring_({a.desc, a.size * descriptor_bytes}),
      written_(a.size) {}

std::uint64_t PackedRules::position_of(std::size_t slot) const {
  const std::uint64_t size = areas().size;
  return next_ + (slot + size - next_ % size) % size;
}

bool PackedRules::available(const Version& v, std::uint64_t position) const {
  const bool avail = bit(v.descriptor.fourth, desc_avail);
  const bool used = bit(v.descriptor.fourth, desc_used);
  return lost_ ? avail != used : avail == wrap(position) && used != wrap(position);
}

// Where a chain may begin: descriptors that were shown as available, in their turn.
std::vector<PackedRules::Head> PackedRules::heads() const {
  std::vector<Head> found;
  for (std::size_t slot = 0; slot < areas().size; ++slot) {
    const std::uint64_t position = position_of(slot);
    for (const Version& v : tables_.main().versions(slot)) {
      if (available(v, position)) found.push_back({position, &v});
    }
  }
  return found;
}

// What a place can hold: what was available there in its turn, or anything if nothing was.
PackedRules::Rows PackedRules::rows(std::uint64_t position) const {
  Rows all, turn;
  for (const Version& v : tables_.main().versions(position % areas().size)) {
    all.push_back(&v);
    if (available(v, position)) turn.push_back(&v);
  }
  return turn.empty() ? all : turn;
}

// What the chain grants, and what its id can be. A device that has seen a descriptor available may read it again.
void PackedRules::visit_chain(const Head& head, const Tables::Visit& visit, std::vector<std::uint16_t>* ids) const {
  std::vector<const Version*> row;
  for (const Version& v : tables_.main().versions(head.position % areas().size)) {
    if (v.last >= head.version->first) row.push_back(&v);
  }
  for (std::uint64_t i = 0; i < areas().size && !row.empty(); ++i) {
    bool more = false;
    for (const Version* v : row) {
      tables_.visit(v->descriptor, head.version->first, false, visit);
      const bool linked = bit(v->descriptor.fourth, desc_next) && !tables_.indirect(v->descriptor);
      if (!linked && ids != nullptr) ids->push_back(v->descriptor.third);
      more = more || linked;
    }
    row.clear();
    if (!more) break;
    for (const Version& v : tables_.main().versions((head.position + i + 1) % areas().size)) row.push_back(&v);
  }
}

bool PackedRules::may_read(const Range& range) {
  const QueueAreas& a = areas();
  if (ring_.area().holds(range) || Range{a.driver, event_bytes}.holds(range)) return true;
  bool granted = false;
  for (const Head& head : heads()) {
    visit_chain(head, [&](Tables::Grant grant, const Range& buffer) {
      granted = granted || (grant != Tables::Grant::WRITE && buffer.holds(range));
    }, nullptr);
  }
  return granted;
}

bool PackedRules::fills(const Range& range) {
  bool granted = false;
  for (const Head& head : heads()) {
    bool hit = false;
    visit_chain(head, [&](Tables::Grant grant, const Range& buffer) {
      hit = hit || (grant == Tables::Grant::WRITE && buffer.holds(range));
    }, nullptr);
    if (hit) written_[head.position % areas().size] += range.size;
    granted = granted || hit;
  }
  return granted;
}

bool PackedRules::write(std::uint64_t address, std::span<const std::uint8_t> bytes, bool other) {
  const Range range{address, bytes.size()};
  lost_ = lost_ || (other && ring_.area().meets(range));
  if (!ring_.area().holds(range)) return Range{areas().device, event_bytes}.holds(range);
  judge_ring(address, bytes);
  return true;
}

void PackedRules::judge_ring(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  ring_.put(address, bytes);
  const std::uint64_t from = address - areas().desc;
  const std::uint64_t to = from + bytes.size();
  std::vector<Used> all;
  for (std::size_t slot = 0; slot < areas().size; ++slot) {
    const std::size_t at = slot * descriptor_bytes;
    if (to > at + flags_offset && from < at + descriptor_bytes && ring_.has(at + flags_offset, 2)) all.push_back(take_used(slot));
  }
  if (all.empty() || lost_) return;
  std::sort(all.begin(), all.end(), [](const Used& a, const Used& b) { return a.position < b.position; });
  for (const Used& used : all) judge_used(used);
  written_ahead_ = std::max(written_ahead_, behind(all.back()));
  if (all.front().position != next_) return;
  for (; next_ < written_ahead_; ++next_) written_[next_ % areas().size] = 0;
}

PackedRules::Used PackedRules::take_used(std::size_t slot) {
  const std::size_t at = slot * descriptor_bytes;
  const auto flags = static_cast<unsigned>(ring_.number(at + flags_offset, 2));
  const Used used{position_of(slot), flags, ring_.number(at + length_offset, 4), ring_.number(at + id_offset, 2),
                  ring_.has(at + length_offset, 6)};
  ring_.drop(at, descriptor_bytes);
  return used;
}

// Behind the chain at position, and whether it has this id.
std::uint64_t PackedRules::behind_chain(std::uint64_t position, std::uint64_t id, bool& ends) {
  for (std::uint64_t i = 0; i < areas().size; ++i) {
    const Rows possible = rows(position + i);
    const auto linked = [&](const Version* v) { return bit(v->descriptor.fourth, desc_next) && !tables_.indirect(v->descriptor); };
    const auto count = std::count_if(possible.begin(), possible.end(), linked);
    lost_ = lost_ || possible.empty() || (count != 0 && static_cast<std::size_t>(count) != possible.size());
    if (lost_) return position;
    if (count != 0) continue;
    ends = std::any_of(possible.begin(), possible.end(), [&](const Version* v) { return v->descriptor.third == id; });
    return position + i + 1;
  }
  lost_ = true;
  return position;
}

// Where the ring goes on. In order, chains before the one with the id are used with it.
std::uint64_t PackedRules::behind(const Used& used) {
  std::uint64_t position = used.position;
  bool ends = false;
  do {
    position = behind_chain(position, used.id, ends);
  } while (!lost_ && !ends && areas().in_order && position < used.position + areas().size);
  return position;
}

void PackedRules::judge_used(const Used& used) {
  const unsigned number = areas().number;
  const std::uint64_t slot = used.position % areas().size;
  const bool turn = wrap(used.position);
  if (bit(used.flags, desc_avail) != turn || bit(used.flags, desc_used) != turn) {
    findings().add("flags", "queue %u: used descriptor %" PRIu64 " has flags 0x%04x, and its turn is %d", number, slot, used.flags, turn);
  }
  if (!used.whole) findings().add("element", "queue %u: descriptor %" PRIu64 " is used without a length and an id", number, slot);
  bool begins = false;
  bool found = false;
  std::uint64_t most = 0;
  for (const Head& head : heads()) {
    begins = begins || head.position == used.position;
    std::vector<std::uint16_t> ids;
    visit_chain(head, [](Tables::Grant, const Range&) {}, &ids);
    if (std::find(ids.begin(), ids.end(), used.id) == ids.end()) continue;
    found = true;
    most = std::max(most, written_[head.position % areas().size]);
  }
  if (!begins) {
    findings().add("ahead", "queue %u: descriptor %" PRIu64 " is used, and was not available", number, slot);
  } else if (!found && used.whole) {
    findings().add("used", "queue %u: used descriptor %" PRIu64 " has id %" PRIu64 ", which is not available", number, slot, used.id);
  } else if (used.length > most) {
    findings().add("length", "queue %u: used descriptor %" PRIu64 " says %" PRIu64 " bytes; %" PRIu64 " were written", number, slot,
                   used.length, most);
  }
}

}  // namespace rw::fuzz
