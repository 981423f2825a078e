#include "shadow.h"

#include <algorithm>

namespace rw::fuzz {
namespace {

// A register of size bytes at a byte offset, after the write of a dword.
template <class Number>
bool merge(Number& value, std::uint64_t place, std::uint64_t offset, std::uint32_t data, unsigned enables) {
  bool touched = false;
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint64_t at = offset + i - place;
    if ((enables >> i & 1) == 0 || offset + i < place || at >= sizeof value) continue;
    const unsigned shift = 8 * static_cast<unsigned>(at);
    const Number mask = static_cast<Number>(std::uint64_t{0xff} << shift);
    const std::uint64_t byte = data >> 8 * i & 0xff;
    value = static_cast<Number>((value & ~mask) | (static_cast<Number>(byte << shift) & mask));
    touched = true;
  }
  return touched;
}

constexpr bool is_power(std::uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace

Shadow::Shadow(const Settings& settings, ShadowEvents& events)
    : settings_(settings), events_(events), vectors_(settings.vectors * vector_bytes) {
  clear();
}

void Shadow::restarted() {
  std::fill(vectors_.begin(), vectors_.end(), 0);
  messages_.clear();
  asked_.fill({});
  clear();
  events_.device_reset();
}

// Registers are as after a device reset.
void Shadow::clear() {
  rows_.assign(settings_.queues, {settings_.queue_size});
  features_ = 0;
  feature_select_ = 0;
  select_ = 0;
  status_ = 0;
  started_ = resetting_ = disturbed_ = vague_ = false;
  face_ = -1;
}

// A register is written.
void Shadow::touch() {
  disturbed_ = resetting_;
  vague_ = vague_ || resetting_;
}

QueueRow* Shadow::selected() { return select_ < rows_.size() ? &rows_[select_] : nullptr; }

bool Shadow::find(const RequestHeader& h, std::uint64_t address, Space& space, std::uint64_t& offset) const {
  const bool io = h.kind == RequestKind::IO_READ || h.kind == RequestKind::IO_WRITE;
  for (const Space candidate : {Space::COMMON, Space::NOTIFY, Space::LEGACY, Space::MSIX}) {
    const Place& place = settings_.places[static_cast<std::size_t>(candidate)];
    if (place.bar >= bars || (settings_.bar_places[place.bar].io != 0) != io) continue;
    const std::uint64_t begin = settings_.bar_places[place.bar].address + place.offset;
    if (address < begin || address - begin >= place.size) continue;
    space = candidate;
    offset = address - begin;
    return true;
  }
  return false;
}

void Shadow::offered(const RequestPacket& packet) {
  const RequestHeader& h = packet.header;
  if (h.kind == RequestKind::CONFIG_WRITE_0 || h.kind == RequestKind::CONFIG_WRITE_1) return write_config(packet);
  Space space;
  std::uint64_t offset;
  if (h.kind == RequestKind::MEMORY_READ || h.kind == RequestKind::IO_READ) {
    Asked& asked = asked_[h.tag % asked_.size()];
    const bool lone = h.length == 1;
    asked.known = lone && find(h, h.address, space, offset);
    if (asked.known) asked = {true, space, offset, select_, h.first_be};
    return;
  }
  if (h.kind != RequestKind::MEMORY_WRITE && h.kind != RequestKind::IO_WRITE) return;
  vague_ = vague_ || h.poisoned;
  for (unsigned i = 0; i < h.length; ++i) {
    const unsigned enables = i == 0 ? h.first_be : i + 1u == h.length ? h.last_be : 0xfu;
    if (find(h, h.address + 4 * i, space, offset)) write_dword(space, offset, packet.payload[i], enables);
  }
}

// Those of interrupts alone leave the registers what they are.
void Shadow::write_config(const RequestPacket& packet) {
  const auto inside = [&](Space space) {
    const Place& place = settings_.places[static_cast<std::size_t>(space)];
    return place.way == 0 && packet.header.address >= place.offset && packet.header.address - place.offset < 12;
  };
  const bool reset = inside(Space::PCIE) && packet.header.address == settings_.places[static_cast<std::size_t>(Space::PCIE)].offset + pcie::device_control &&
                     (packet.header.first_be & 2) != 0 && (packet.payload[0] & initiate_reset) != 0;
  if (reset || !(inside(Space::PCIE) || inside(Space::MSIX_CAPABILITY) || inside(Space::MSI))) vague_ = true;
}

void Shadow::write_dword(Space space, std::uint64_t offset, std::uint32_t data, unsigned enables) {
  if (space == Space::MSIX) return write_vector(offset, data, enables);
  if (space == Space::NOTIFY) return write_notify(offset, data, enables);
  const bool old = space == Space::LEGACY;
  if (face_ >= 0 && (face_ == 1) != old) vague_ = true;  // two drivers at once
  if (old) return write_legacy(offset, data, enables);
  write_common(offset, data, enables);
}

void Shadow::write_vector(std::uint64_t offset, std::uint32_t data, unsigned enables) {
  for (unsigned i = 0; i < 4; ++i) {
    if ((enables >> i & 1) != 0 && offset + i < vectors_.size()) vectors_[offset + i] = static_cast<std::uint8_t>(data >> 8 * i);
  }
  const std::uint64_t entry = offset / vector_bytes * vector_bytes;
  std::uint64_t address = 0;
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 8; ++i) address |= static_cast<std::uint64_t>(vectors_[entry + i]) << 8 * i;
  for (unsigned i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(vectors_[entry + 8 + i]) << 8 * i;
  messages_.insert({address & ~std::uint64_t{3}, value});
}

void Shadow::write_notify(std::uint64_t offset, std::uint32_t data, unsigned enables) {
  if (enables == 0xf) events_.notified(static_cast<unsigned>(data & 0xffff), static_cast<std::uint16_t>(data >> 16));
  static_cast<void>(offset);
}

void Shadow::write_status(std::uint8_t value, bool old) {
  if (value == 0) {
    resetting_ = true;
    disturbed_ = false;
    return;
  }
  touch();
  if (face_ < 0) face_ = old;
  status_ |= value;
  started_ = started_ || old || (value & status_driver_ok) != 0;
}

void Shadow::write_common(std::uint64_t offset, std::uint32_t data, unsigned enables) {
  std::uint8_t status = 0;
  if (merge(status, common::device_status, offset, data, enables)) write_status(status, false);
  std::uint32_t word = features_ >> (feature_select_ % 2 * 32) & 0xffffffffu;
  const bool fixed = (status_ & status_features_ok) != 0;
  if (offset >= common::queue_size / 4 * 4 || offset < common::device_feature) touch();
  if (merge(word, common::driver_feature, offset, data, enables) && feature_select_ < 2) {
    touch();
    vague_ = vague_ || fixed;  // unless the device has refused the features
    const unsigned shift = 32 * feature_select_;
    features_ = (features_ & ~(std::uint64_t{0xffffffffu} << shift)) | static_cast<std::uint64_t>(word) << shift;
  }
  merge(feature_select_, common::driver_feature_select, offset, data, enables);
  if (merge(select_, common::queue_select, offset, data, enables)) touch();
  write_queue(offset, data, enables);
}

void Shadow::write_queue(std::uint64_t offset, std::uint32_t data, unsigned enables) {
  QueueRow* row = selected();
  if (row == nullptr) return;
  auto size = static_cast<std::uint16_t>(row->size);
  std::uint64_t desc = row->desc, driver = row->driver, device = row->device;
  const bool sized = merge(size, common::queue_size, offset, data, enables);
  const bool placed = merge(desc, common::queue_desc, offset, data, enables) | merge(driver, common::queue_driver, offset, data, enables) |
                      merge(device, common::queue_device, offset, data, enables);
  std::uint16_t enabled = row->enabled, reset = row->resetting;
  const bool enables_it = merge(enabled, common::queue_enable, offset, data, enables) && enabled == 1;
  if (row->resetting && (sized || placed || enables_it)) vague_ = true;  // nobody has waited for it
  if (!row->enabled) {
    const bool packed = (features_ >> feature_ring_packed & 1) != 0;
    const bool fits = size <= settings_.queue_size && (is_power(size) || (packed && size != 0));
    if (sized && fits) row->size = size;
    if (placed) {
      row->desc = desc & ~std::uint64_t{15};
      row->driver = driver & ~std::uint64_t{1};
      row->device = device & ~std::uint64_t{3};
    }
    if (enables_it) enable(select_);
  }
  if (merge(reset, common::queue_reset, offset, data, enables) && reset == 1 && row->enabled) row->resetting = true;
}

void Shadow::enable(unsigned queue) {
  rows_[queue].enabled = true;
  events_.enabled(queue, rows_[queue], features_);
}

void Shadow::write_legacy(std::uint64_t offset, std::uint32_t data, unsigned enables) {
  std::uint8_t status = 0;
  if (merge(status, legacy::device_status, offset, data, enables)) write_status(status, true);
  auto features = static_cast<std::uint32_t>(features_);
  if (merge(features, legacy::driver_features, offset, data, enables)) {
    // Rules of a queue in use keep the features that it began with; the device may not.
    vague_ = vague_ || std::any_of(rows_.begin(), rows_.end(), [](const QueueRow& row) { return row.enabled; });
    features_ = features;
    touch();
    if (face_ < 0) face_ = 1;
  }
  if (merge(select_, legacy::queue_select, offset, data, enables)) touch();
  std::uint32_t page = 0;
  if (merge(page, legacy::queue_pfn, offset, data, enables)) {
    touch();
    vague_ = vague_ || enables != 0xf;
    write_page(page);
  }
}

void Shadow::write_page(std::uint32_t page) {
  QueueRow* row = selected();
  if (row == nullptr) return;
  if (page == 0) {
    row->enabled = false;
    return;
  }
  if (face_ < 0) face_ = 1;
  started_ = true;
  if (row->enabled) {
    vague_ = true;  // moved while it is enabled
    return;
  }
  const std::uint64_t size = settings_.queue_size;
  const std::uint64_t unit = (std::uint64_t{1} << legacy_queue_shift) - 1;
  row->size = size;
  row->desc = static_cast<std::uint64_t>(page) << legacy_queue_shift;
  row->driver = row->desc + 16 * size;
  row->device = (row->driver + 6 + 2 * size + unit) & ~unit;
  enable(select_);
}

void Shadow::arrived(const CompletionPacket& packet) {
  const CompletionHeader& h = packet.header;
  Asked& asked = asked_[h.tag % asked_.size()];
  if (!asked.known || !h.has_data || h.status != CompletionStatus::SUCCESS || packet.payload.size() != 1) return;
  asked.known = false;
  const std::uint32_t word = packet.payload[0];
  const auto byte = [&](std::uint64_t place) { return static_cast<std::uint8_t>(word >> 8 * (place % 4)); };
  const bool old = asked.space == Space::LEGACY;
  if (asked.space != Space::COMMON && !old) return;
  const std::uint64_t status_at = old ? std::uint64_t{legacy::device_status} : std::uint64_t{common::device_status};
  const bool status = asked.offset == status_at / 4 * 4 && (asked.enables >> status_at % 4 & 1) != 0;
  if (status && byte(status_at) == 0 && resetting_ && !disturbed_) {
    clear();
    return events_.device_reset();
  }
  if (old || asked.offset != common::queue_reset / 4 * 4 || asked.queue >= rows_.size()) return;
  QueueRow& row = rows_[asked.queue];
  if (row.resetting && (asked.enables & 0xc) == 0xc && byte(common::queue_reset) == 0) {
    row = {settings_.queue_size};
    events_.queue_reset(asked.queue);
  }
}

}  // namespace rw::fuzz
