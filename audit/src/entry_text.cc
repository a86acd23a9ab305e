#include "entry_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "canonical.h"
#include "core/json.h"
#include "core/random.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kTenantBytesMax = 64;

bool IsKind(std::string_view kind) {
  if (kind.empty() || kind.size() > kKindBytesMax) return false;
  return std::all_of(kind.begin(), kind.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '.'; });
}

bool IsHex64(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool IsDigestName(std::string_view text) {
  return text.substr(0, 7) == "sha256:" && IsHex64(text.substr(7));
}

bool AreCites(std::span<const std::string> cites) {
  return std::all_of(cites.begin(), cites.end(), IsDigestName) &&
         std::is_sorted(cites.begin(), cites.end()) &&
         std::adjacent_find(cites.begin(), cites.end()) == cites.end();
}

// The same on text that the scanner accepted as an array.
bool AreCites(std::string_view array) {
  if (array == "[]") return true;
  constexpr std::size_t kItem = 2 + 7 + 64;  // quotes, prefix, hex
  std::string_view last;
  for (std::size_t at = 1; at + kItem < array.size(); at += kItem + 1) {
    const std::string_view name = array.substr(at + 1, kItem - 2);
    if (array[at] != '"' || !IsDigestName(name) || name <= last) return false;
    last = name;
    const char after = array[at + kItem];
    if (after == ']') return at + kItem + 1 == array.size();
    if (after != ',') return false;
  }
  return false;
}

void AppendInt(std::int64_t value, std::string& out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  static_cast<void>(error);  // 24 bytes hold every 64-bit integer
  out.append(buffer, end);
}

Span AppendQuoted(std::string_view plain, std::size_t start, std::string& out) {
  out += '"';
  const Span span{out.size() - start, plain.size()};
  out += plain;
  out += '"';
  return span;
}

}  // namespace

core::StatusOr<core::JsonObjectView> CheckNewEntry(const NewEntry& entry) {
  if (!IsKind(entry.kind)) {
    return core::InvalidArgument("entry kind `" + std::string(entry.kind.substr(0, 80)) +
                                 "` is not lower-case words joined by dots");
  }
  if (entry.actor.empty() || entry.actor.size() > kActorBytesMax) {
    return core::InvalidArgument("actor of a `" + std::string(entry.kind) +
                                 "` entry is empty or too long");
  }
  if (!AreCites(entry.cites)) {
    return core::InvalidArgument("cites of a `" + std::string(entry.kind) +
                                 "` entry are not sorted digest names");
  }
  auto body = CanonicalScanner(entry.body).WholeObject();
  if (!body) {
    return core::InvalidArgument("body of a `" + std::string(entry.kind) +
                                 "` entry is not a canonical object of integers, text and lists");
  }
  return *body;
}

EntryLayout AppendEntry(const NewEntry& entry, const Envelope& envelope, std::string& out) {
  const std::size_t start = out.size();
  EntryLayout layout;
  out += R"({"actor":)";
  core::AppendJsonString(entry.actor, out);
  out += R"(,"body":)";
  layout.body = {out.size() - start, entry.body.size()};
  out += entry.body;
  out += R"(,"cites":[)";
  for (std::size_t i = 0; i < entry.cites.size(); ++i) {
    if (i != 0) out += ',';
    AppendQuoted(entry.cites[i], start, out);
  }
  out += R"(],"index":)";
  AppendInt(static_cast<std::int64_t>(envelope.index), out);
  out += R"(,"kind":)";
  layout.kind = AppendQuoted(entry.kind, start, out);
  out += R"(,"prev":)";
  AppendQuoted(envelope.prev, start, out);
  out += R"(,"run":)";
  layout.run = AppendQuoted(entry.run, start, out);
  out += R"(,"run_seq":)";
  AppendInt(envelope.run_seq, out);
  out += R"(,"tenant":)";
  core::AppendJsonString(envelope.tenant, out);
  out += R"(,"time_us":)";
  AppendInt(envelope.time_us, out);
  out += R"(,"v":1})";
  static_assert(kEntryVersion == 1);
  return layout;
}

namespace {

// A field `,"name":` and what follows it, in the one order that AppendEntry writes.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : scanner_(bytes) {}

  void Text(std::string_view label, std::string_view& out) {
    Take(label, out, [&] { return scanner_.String(); });
  }
  void Object(std::string_view label, std::string_view& out) {
    Take(label, out, [&] { return scanner_.Object(); });
  }
  void Array(std::string_view label, std::string_view& out) {
    Take(label, out, [&] { return scanner_.Array(); });
  }
  void Int(std::string_view label, std::int64_t& out) {
    Take(label, out, [&] { return scanner_.Integer(); });
  }
  bool EndsWith(std::string_view end) { return ok_ && scanner_.Literal(end) && scanner_.AtEnd(); }

 private:
  template <typename T, typename Read>
  void Take(std::string_view label, T& out, Read&& read) {
    if (!ok_ || !scanner_.Literal(label)) {
      ok_ = false;
      return;
    }
    const std::optional<T> value = read();
    ok_ = value.has_value();
    if (ok_) out = *value;
  }

  CanonicalScanner scanner_;
  bool ok_ = true;
};

bool EnvelopeIsSound(const ParsedEntry& entry) {
  const Envelope& e = entry.envelope;
  if (!IsTenantName(e.tenant)) return false;
  if (!IsKind(entry.kind) || entry.actor.empty() || !AreCites(entry.cites)) return false;
  if (entry.run.empty()) return e.run_seq == -1 && e.prev.empty();
  if (!core::IsUuid(entry.run) || e.run_seq < 0) return false;
  return e.run_seq == 0 ? e.prev.empty() : IsHex64(e.prev);
}

}  // namespace

bool IsTenantName(std::string_view name) {
  return !name.empty() && name.size() <= kTenantBytesMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

std::optional<ParsedEntry> ParseEntry(std::string_view bytes) {
  ParsedEntry entry;
  std::int64_t index = 0;
  FieldReader fields(bytes);
  fields.Text(R"({"actor":)", entry.actor);
  fields.Object(R"(,"body":)", entry.body);
  fields.Array(R"(,"cites":)", entry.cites);
  fields.Int(R"(,"index":)", index);
  fields.Text(R"(,"kind":)", entry.kind);
  fields.Text(R"(,"prev":)", entry.envelope.prev);
  fields.Text(R"(,"run":)", entry.run);
  fields.Int(R"(,"run_seq":)", entry.envelope.run_seq);
  fields.Text(R"(,"tenant":)", entry.envelope.tenant);
  fields.Int(R"(,"time_us":)", entry.envelope.time_us);
  if (!fields.EndsWith(R"(,"v":1})") || index < 0) return std::nullopt;
  entry.envelope.index = static_cast<std::uint64_t>(index);
  if (!EnvelopeIsSound(entry)) return std::nullopt;
  return entry;
}

}  // namespace interlock::audit
