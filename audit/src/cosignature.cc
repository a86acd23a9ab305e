#include "audit/cosignature.h"

#include <algorithm>

#include "audit/checkpoint.h"
#include "note_key.h"
#include "note_text.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kAnswerBytesMax = 16 * 1024;
constexpr std::size_t kWhyBytesMax = 200;
constexpr std::string_view kSizeType = "text/x.tlog.size";

std::uint64_t BigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

// The time of one signature if it is this key's and holds; nullopt when it is another's.
core::StatusOr<std::optional<std::int64_t>> TimeOf(const NoteSignature& signature,
                                                   std::string_view text, const NoteKey& key) {
  const std::string_view blob = signature.blob;
  if (signature.name != key.name || blob.substr(0, 4) != key.id) {
    return std::optional<std::int64_t>();
  }
  const auto broken = core::PermissionDenied("the cosignature of `" + key.name + "` does not hold");
  if (blob.size() != 4 + kTimeBytes + 64) return broken;
  const std::uint64_t time = BigEndian(blob.substr(4, kTimeBytes));
  if (time > static_cast<std::uint64_t>(INT64_MAX)) return broken;
  const auto seconds = static_cast<std::int64_t>(time);
  if (!SignatureHolds(blob.substr(4 + kTimeBytes), CosignedMessage(text, seconds), key)) {
    return broken;
  }
  return std::optional(seconds);
}

// The first line of what a stranger said, fit for a log file.
std::string Quoted(std::string_view body) {
  std::string text(body.substr(0, std::min(body.find('\n'), kWhyBytesMax)));
  for (char& c : text) c = c >= ' ' && c <= '~' && c != '`' ? c : '?';
  return "`" + text + "`";
}

WitnessAnswer Because(WitnessAnswer::Kind kind, std::string why) {
  WitnessAnswer answer;
  answer.kind = kind;
  answer.why = std::move(why);
  return answer;
}

// The lines of a 200 may be of several keys; only the one that is expected is taken.
WitnessAnswer ReadLines(std::string_view body, const WitnessQuestion& question) {
  using Kind = WitnessAnswer::Kind;
  const auto key = ParseVerifierKey(question.witness_key, SignatureType::kCosignature);
  if (!key.ok()) return Because(Kind::kRefused, std::string(core::Message(key.status())));
  while (const auto line = TakeLine(body)) {
    const std::string whole = std::string(*line) + "\n";
    const std::string note = std::string(question.note) + whole;
    const auto parsed = ParseNote(note);
    if (!parsed.ok()) return Because(Kind::kRefused, "its answer is not of signature lines");
    const NoteSignature& last = parsed->signatures.back();
    if (last.name != key->name || last.blob.substr(0, 4) != key->id) continue;
    if (const auto time = CosignedAt(note, question.witness_key); !time.ok()) {
      return Because(Kind::kRefused, std::string(core::Message(time.status())));
    }
    WitnessAnswer answer;
    answer.kind = Kind::kCosigned;
    answer.line = whole;
    return answer;
  }
  return Because(Kind::kRefused, "it answers with other keys than the one that is configured");
}

WitnessAnswer ReadConflict(const WitnessReply& reply, const WitnessQuestion& question) {
  using Kind = WitnessAnswer::Kind;
  std::string_view body = reply.body;
  const auto line = TakeLine(body);
  std::optional<std::uint64_t> size;
  if (line && body.empty()) size = ParseDecimal(*line);
  if (std::string_view(reply.content_type).substr(0, kSizeType.size()) != kSizeType || !size) {
    return Because(Kind::kConflict, "it says " + Quoted(reply.body));
  }
  if (*size == question.old_size) {
    return Because(Kind::kConflict, "it saw another head of " + std::to_string(*size) + " entries");
  }
  WitnessAnswer answer = Because(Kind::kOtherSize, "it goes on from " + std::to_string(*size));
  answer.size = *size;
  return answer;
}

}  // namespace

std::string CosignedMessage(std::string_view note_text, std::int64_t time_s) {
  return "cosignature/v1\ntime " + std::to_string(time_s) + "\n" + std::string(note_text);
}

core::StatusOr<std::int64_t> CosignedAt(std::string_view note, std::string_view witness_key) {
  INTERLOCK_ASSIGN_OR_RETURN(const NoteKey key,
                             ParseVerifierKey(witness_key, SignatureType::kCosignature));
  INTERLOCK_ASSIGN_OR_RETURN(const ParsedNote parsed, ParseNote(note));
  std::optional<std::int64_t> newest;
  for (const NoteSignature& signature : parsed.signatures) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::optional<std::int64_t> time,
                               TimeOf(signature, parsed.text, key));
    if (time && (!newest || *time > *newest)) newest = time;
  }
  if (!newest) return core::NotFound("witness `" + key.name + "` has not cosigned the checkpoint");
  return *newest;
}

core::StatusOr<std::string> WitnessName(std::string_view witness_key) {
  INTERLOCK_ASSIGN_OR_RETURN(NoteKey key,
                             ParseVerifierKey(witness_key, SignatureType::kCosignature));
  return std::move(key.name);
}

WitnessAnswer ReadWitnessAnswer(const WitnessReply& reply, const WitnessQuestion& question) {
  using Kind = WitnessAnswer::Kind;
  if (reply.body.size() > kAnswerBytesMax) return Because(Kind::kRefused, "its answer is too long");
  const std::string status = std::to_string(reply.status);
  if (reply.status == 200) return ReadLines(reply.body, question);
  if (reply.status == 409) return ReadConflict(reply, question);
  if (reply.status == 422) return Because(Kind::kConflict, "it says " + Quoted(reply.body));
  if (reply.status == 429 || reply.status >= 500) {
    return Because(Kind::kAway, "it answers " + status + " " + Quoted(reply.body));
  }
  return Because(Kind::kRefused, "it answers " + status + " " + Quoted(reply.body));
}

std::string WithSignatureLines(std::string_view note, std::string_view lines) {
  std::string out(note);
  while (const auto line = TakeLine(lines)) {
    const std::string whole = std::string(*line) + "\n";
    if (out.find("\n" + whole) == std::string::npos) out += whole;
  }
  return out;
}

}  // namespace interlock::audit
