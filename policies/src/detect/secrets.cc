#include "secrets.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "secret_kinds.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kValueBytesMax = 256;

// Bits in a text by its own frequencies, in 1/1024; whole numbers, so that machines agree.
std::int64_t Entropy(std::string_view text) {
  static const std::array<std::int64_t, kValueBytesMax + 1> logarithms = [] {
    std::array<std::int64_t, kValueBytesMax + 1> out{};
    for (std::size_t i = 1; i < out.size(); ++i)
      out[i] = std::llround(std::log2(static_cast<double>(i)) * 1024);
    return out;
  }();
  text = text.substr(0, kValueBytesMax);
  std::array<std::uint16_t, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  const auto size = static_cast<std::int64_t>(text.size());
  std::int64_t sum = size * logarithms[text.size()];
  for (const std::uint16_t count : counts) sum -= count * logarithms[count];
  return sum;
}

bool ContainsAny(std::string_view lower, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return lower.find(word) != std::string_view::npos;
  });
}

std::string LowerText(std::string_view text) {
  std::string lower(text.substr(0, kValueBytesMax));
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

bool IsSetByCode(std::string_view value) {
  return value.find_first_of("(){}[]<>$%*") != std::string_view::npos ||
         value.find("://") != std::string_view::npos || value.starts_with("process.") ||
         value.starts_with("os.") || value.starts_with("env.") || value.starts_with("self.") ||
         value.starts_with("this.") || value.starts_with("config.");
}

std::size_t MatchAt(Scan& scan, const Shape& shape, std::size_t at) {
  std::size_t read = 0;
  const std::size_t size = shape.Match(scan.text(), at, read);
  scan.Work(static_cast<std::int64_t>(read / 16 + 1));
  return size;
}

// What a generator made: letters and digits, and enough disorder for its length. A name with
// digits ("customer2024") has less.
bool LooksGenerated(std::string_view value) {
  const bool letters = std::any_of(value.begin(), value.end(), IsAlpha);
  const bool digits = std::any_of(value.begin(), value.end(), IsDigit);
  if (!letters || !digits || value.size() < 12) return false;
  return Entropy(value) >= static_cast<std::int64_t>(value.size()) * 3 * 1024;
}

// What a person would choose: neither a plain word nor a sentence.
bool LooksChosen(std::string_view value) {
  const bool letters = std::any_of(value.begin(), value.end(), IsAlpha);
  const bool others = std::any_of(value.begin(), value.end(), [](char c) { return !IsAlpha(c); });
  return value.size() >= 8 && letters && others;
}

// `&` ends a value of a query only: passwords have it.
std::size_t ValueEnd(std::string_view text, std::size_t begin, char quote, bool query) {
  std::size_t at = begin;
  while (at < text.size() && at - begin < kValueBytesMax) {
    const char c = text[at];
    if (quote != 0 ? c == quote || c == '\n'
                   : IsSpace(c) || c == ',' || c == ';' || (c == '&' && query))
      break;
    if (quote == 0 && (c == '"' || c == '\'' || c == '`' || c == '\\')) break;
    ++at;
  }
  return at;
}

void AddValue(Scan& scan, std::string_view name, std::size_t begin, std::size_t end) {
  const std::string_view value = scan.text().substr(begin, end - begin);
  scan.Work(static_cast<std::int64_t>(value.size() / 4));
  if (value.size() < 8 || IsSetByCode(value) || LooksLikePlaceholder(value)) return;
  const bool password = name.starts_with("pass") || name == "pwd";
  if (LooksGenerated(value)) {
    scan.Add("assigned_secret", Confidence::kMedium, begin, end);
  } else if (password && LooksChosen(value)) {
    scan.Add("assigned_secret", Confidence::kMedium, begin, end);
  }
}

// name = "value", name: value, "name" => 'value', name=value&…, password is value.
void FoundName(Scan& scan, std::size_t at, std::size_t size) {
  const std::string_view text = scan.text();
  const std::string name = LowerText(text.substr(at, size));
  std::size_t to = at + size;
  if (IsAlnum(scan.At(to))) return;  // "passwords", "secretary"
  while (to < text.size() && to < at + size + 4 && (text[to] == '"' || text[to] == '\'')) ++to;
  const auto skip_blanks = [&] {
    for (int i = 0; i < 4 && (scan.At(to) == ' ' || scan.At(to) == '\t'); ++i) ++to;
  };
  skip_blanks();
  if (text.substr(to, 3) == "is ") {
    to += 2;
  } else {
    const std::size_t from = to;
    while (to < from + 2 && (scan.At(to) == '=' || scan.At(to) == ':' || scan.At(to) == '>')) ++to;
    if (to == from || text.substr(from, 2) == "==") return;
  }
  skip_blanks();
  const char first = scan.At(to);
  const char quote = first == '"' || first == '\'' || first == '`' ? first : '\0';
  if (quote != 0) ++to;
  AddValue(scan, name, to, ValueEnd(text, to, quote, scan.Before(to) == '='));
}

// -----BEGIN … PRIVATE KEY-----, to the end of its armour when that is there.
void FoundArmour(Scan& scan, std::size_t at, std::size_t size) {
  const std::string_view text = scan.text();
  const std::string_view head = text.substr(at, size + 64);
  const std::size_t key = head.find("PRIVATE KEY");
  const std::size_t dashes = head.find("-----", size);
  if (key == std::string_view::npos || dashes == std::string_view::npos || key > dashes) return;
  constexpr std::string_view kEnd = "-----END ";
  constexpr std::size_t kArmourBytesMax = 16 * 1024;
  const std::size_t body = at + dashes + 5;
  const std::size_t end = text.substr(body, kArmourBytesMax).find(kEnd);
  scan.Work(static_cast<std::int64_t>(std::min(end, kArmourBytesMax) / 64));
  std::size_t to = body;
  if (end != std::string_view::npos) {
    const std::size_t tail = text.substr(body + end + kEnd.size(), 64).find("-----");
    to = body + end + kEnd.size() + (tail == std::string_view::npos ? 0 : tail + 5);
  }
  scan.Add("private_key", Confidence::kHigh, at, to);
}

void FoundPutty(Scan& scan, std::size_t at, std::size_t size) {
  scan.Add("private_key", Confidence::kMedium, at, at + size);
}

// header.payload.signature, each base64url; the first two are JSON objects.
void FoundJwt(Scan& scan, std::size_t at, std::size_t) {
  if (!scan.WordBegins(at)) return;
  static const Shape shape("eyJ%w{8,2000}.eyJ%w{8,6000}.%w{16,2000}");
  const std::size_t size = MatchAt(scan, shape, at);
  if (size > 0) scan.Add("jwt", Confidence::kHigh, at, at + size);
}

// Authorization: Bearer …, Basic …
void FoundScheme(Scan& scan, std::size_t at, std::size_t size) {
  if (!scan.WordBegins(at)) return;
  const std::string_view text = scan.text();
  std::size_t end = at + size;
  while (
      end < text.size() && end - at < 4096 &&
      (IsAlnum(text[end]) || std::string_view("-._~+/=").find(text[end]) != std::string_view::npos))
    ++end;
  const std::string_view value = text.substr(at + size, end - at - size);
  scan.Work(static_cast<std::int64_t>(value.size() / 4));
  const bool basic = Lower(text[at + 1]) == 'a';
  if (basic && !scan.HasWordBefore(at, {"authorization"})) return;
  if (value.size() < 12 || LooksLikePlaceholder(value)) return;
  if (basic ? value.size() % 4 != 0 : !LooksGenerated(value)) return;
  scan.Add("authorization_header", Confidence::kMedium, at + size, end);
}

// scheme://user:password@host
void FoundUrl(Scan& scan, std::size_t at, std::size_t size) {
  const std::string_view text = scan.text();
  if (!IsAlpha(scan.Before(at))) return;
  std::size_t colon = 0;
  std::size_t to = at + size;
  for (; to < text.size() && to - at < 300; ++to) {
    const char c = text[to];
    if (c == '@' || c == '/' || c == '?' || c == '#' || IsSpace(c) || c == '"' || c == '\'') break;
    if (c == ':' && colon == 0) colon = to;
  }
  scan.Work(static_cast<std::int64_t>((to - at) / 16));
  if (scan.At(to) != '@' || colon == 0 || to - colon < 4) return;
  const std::string_view password = text.substr(colon + 1, to - colon - 1);
  if (IsSetByCode(password)) return;
  const bool dull = LooksLikePlaceholder(password) || password == "password";
  scan.Add("url_password", dull ? Confidence::kLow : Confidence::kHigh, colon + 1, to);
}

// Twilio API keys: SK and 32 hex digits.
void FoundTwilio(Scan& scan, std::size_t at, std::size_t) {
  static const Shape shape("SK%x{32}");
  const char before = scan.Before(at);
  if (!scan.WordBegins(at) || before == '/' || before == '+') return;
  if (MatchAt(scan, shape, at) == 34) scan.Add("twilio_key", Confidence::kHigh, at, at + 34);
}

// 32 hex digits before the data centre: …-us12.
void FoundMailchimp(Scan& scan, std::size_t at, std::size_t size) {
  const std::string_view text = scan.text();
  if (at < 32 || !scan.WordBegins(at - 32) || !IsDigit(scan.At(at + size))) return;
  const bool hex = std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at - 32),
                               text.begin() + static_cast<std::ptrdiff_t>(at), IsHex);
  const std::size_t end = at + size + (IsDigit(scan.At(at + size + 1)) ? 2 : 1);
  if (hex && !IsAlnum(scan.At(end))) scan.Add("mailchimp_key", Confidence::kHigh, at - 32, end);
}

// The bot's number, a colon, and 35 characters that begin with AA.
void FoundTelegram(Scan& scan, std::size_t at, std::size_t) {
  static const Shape shape(":AA%w{33}");
  std::size_t begin = at;
  while (begin > 0 && at - begin < 11 && IsDigit(scan.At(begin - 1))) --begin;
  if (at - begin < 8 || at - begin > 10 || !scan.WordBegins(begin)) return;
  const std::size_t size = MatchAt(scan, shape, at);
  if (size > 0) scan.Add("telegram_bot_token", Confidence::kHigh, begin, at + size);
}

// Entra ID client secrets hold their version after three characters.
void FoundEntra(Scan& scan, std::size_t at, std::size_t) {
  if (at < 3 || !scan.WordBegins(at - 3)) return;
  std::size_t end = at + 3;
  while (end - at < 40 && (IsAlnum(scan.At(end)) || scan.At(end) == '_' || scan.At(end) == '~' ||
                           scan.At(end) == '.' || scan.At(end) == '-'))
    ++end;
  if (end - at - 3 >= 34 && end - at - 3 <= 37)
    scan.Add("azure_client_secret", Confidence::kHigh, at - 3, end);
}

}  // namespace

bool LooksLikePlaceholder(std::string_view value) {
  const std::string lower = LowerText(value);
  if (ContainsAny(lower, {"example", "xxxx", "your", "changeme", "placeholder", "redacted", "dummy",
                          "....", "****", "insert", "123456789012", "abcdefghij"})) {
    return true;
  }
  const std::string_view cut = value.substr(0, kValueBytesMax);
  return cut.size() >= 16 && Entropy(cut) < static_cast<std::int64_t>(cut.size()) * 2 * 1024;
}

SecretDetector::SecretDetector(Literals& literals, int first_id) : first_id_(first_id) {
  const auto add = [&](std::string_view literal, LetterCase letter_case, Rule rule) {
    literals.Add(literal, letter_case, first_id_ + ids());
    rules_.push_back(rule);
  };
  const std::vector<SecretKind>& kinds = SecretKinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    shapes_.emplace_back(kinds[i].tail);
    add(kinds[i].prefix, LetterCase::kExact, {.kind = i, .shape = i});
  }
  for (const std::string_view name : SecretNames()) {
    add(name, LetterCase::kAny, {.handler = &FoundName});
  }
  for (const char hex : std::string_view("0123456789abcdef")) {
    add(std::string("SK") + hex, LetterCase::kExact, {.handler = &FoundTwilio});
  }
  add("-----BEGIN ", LetterCase::kExact, {.handler = &FoundArmour});
  add("PuTTY-User-Key-File-", LetterCase::kExact, {.handler = &FoundPutty});
  add("eyJ", LetterCase::kExact, {.handler = &FoundJwt});
  add("bearer ", LetterCase::kAny, {.handler = &FoundScheme});
  add("basic ", LetterCase::kAny, {.handler = &FoundScheme});
  add("://", LetterCase::kExact, {.handler = &FoundUrl});
  add("-us", LetterCase::kExact, {.handler = &FoundMailchimp});
  add(":AA", LetterCase::kExact, {.handler = &FoundTelegram});
  add("8Q~", LetterCase::kExact, {.handler = &FoundEntra});
}

void SecretDetector::FoundToken(Scan& scan, const Rule& rule, std::size_t at,
                                std::size_t size) const {
  const SecretKind& kind = SecretKinds()[rule.kind];
  const char before = scan.Before(at);
  if (kind.prefix.front() != '.' && !scan.WordBegins(at)) return;
  if (kind.sure == SecretSure::kStrict && (before == '/' || before == '+')) return;
  const std::size_t tail = MatchAt(scan, shapes_[rule.shape], at + size);
  if (tail == 0) return;
  Confidence confidence =
      kind.sure == SecretSure::kMedium ? Confidence::kMedium : Confidence::kHigh;
  if (LooksLikePlaceholder(scan.text().substr(at + size, tail))) confidence = Confidence::kLow;
  scan.Add(kind.kind, confidence, at, at + size + tail);
}

void SecretDetector::Found(Scan& scan, int id, std::size_t at, std::size_t size) const {
  const Rule& rule = rules_[static_cast<std::size_t>(id - first_id_)];
  scan.Work(4);
  if (rule.handler != nullptr) {
    rule.handler(scan, at, size);
  } else {
    FoundToken(scan, rule, at, size);
  }
}

void ScanNamedField(Scan& scan) {
  const std::string field = LowerText(scan.options().field);
  for (const std::string_view name : SecretNames()) {
    if (field != name && !(field.size() > name.size() && field.ends_with(name))) continue;
    AddValue(scan, name, 0, std::min(scan.text().size(), kValueBytesMax));
    return;
  }
}

}  // namespace interlock::policies::detect
