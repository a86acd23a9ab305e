#include "engine/filter.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "engine/rows.h"

namespace interlock::runtime {
namespace {

enum class Kind { kText, kWords, kPeople, kInt, kTime, kSubject, kUser };

struct Field {
  std::string_view name;
  std::string_view column;
  Kind kind;
};

constexpr std::array<Field, 16> kFields = {{
    {"run", "c.run", Kind::kText},
    {"call", "c.call", Kind::kText},
    {"tool", "c.tool", Kind::kText},
    {"agent", "c.agent", Kind::kText},
    {"actor", "c.principal", Kind::kText},
    {"subject", "", Kind::kSubject},
    {"user", "", Kind::kUser},
    {"verdict", "c.verdict", Kind::kText},
    {"code", "c.code", Kind::kText},
    {"outcome", "c.outcome", Kind::kText},
    {"effect", "c.effect", Kind::kText},
    {"rule", "c.rules", Kind::kWords},
    {"approver", "c.approved_by", Kind::kPeople},
    {"amount", "c.amount", Kind::kInt},
    {"currency", "c.unit", Kind::kText},
    {"time", "c.create_us", Kind::kTime},
}};

constexpr CallFields BitOf(std::string_view name) {
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    if (kFields[i].name == name) return CallFields{1} << i;
  }
  return 0;
}
static_assert(BitOf("run") == kRunField && BitOf("call") == kCallField &&
              BitOf("tool") == kToolField && BitOf("agent") == kAgentField &&
              BitOf("actor") == kActorField && BitOf("subject") == kSubjectField &&
              BitOf("user") == kUserField && BitOf("verdict") == kVerdictField &&
              BitOf("code") == kCodeField && BitOf("outcome") == kOutcomeField &&
              BitOf("effect") == kEffectField && BitOf("rule") == kRuleField &&
              BitOf("approver") == kApproverField && BitOf("amount") == kAmountField &&
              BitOf("currency") == kCurrencyField && BitOf("time") == kTimeField);
static_assert(kAmountSize == CallFields{1} << kFields.size());

// Fields of few values: any other matches nothing, which is not what its writer meant. Empty: not
// known yet.
struct Values {
  std::string_view name;
  std::string_view known;  // words
};

constexpr std::array<Values, 3> kValues = {{
    {"verdict", "allow ask deny modify refuse"},
    {"outcome",
     "ok failed timeout violation not_started unknown reconciled_done reconciled_not_done "
     "resolved_done resolved_not_done"},
    {"effect", "read write money egress"},
}};

// Words that a text of several is made of, as a person reads them; empty: `value` is among them.
std::string NotAmong(std::string_view known, std::string_view value) {
  std::string listed;
  for (std::string_view rest = known; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (word == value) return "";
    listed += (listed.empty() ? "" : ", ") + std::string(word);
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  return listed;
}

core::Status Bad(std::size_t at, std::string_view what) {
  return core::InvalidArgument("filter, at byte " + std::to_string(at) + ": " + std::string(what));
}

// GLOB pattern of a text with `*` at its ends; everything else stands for itself.
std::string GlobOf(std::string_view text) {
  std::string glob;
  for (const char c : text) {
    if (c == '?' || c == '[') {
      glob += '[';
      glob += c;
      glob += ']';
    } else {
      glob += c;
    }
  }
  return glob;
}

// Than stars, which an empty text meets too.
bool HasMore(std::string_view text) {
  return text.find_first_not_of('*') != std::string_view::npos;
}

class Parser {
 public:
  using Hmac = std::function<std::string(std::string_view, std::string_view)>;
  Parser(std::string_view text, const Hmac& hmac) : text_(text), hmac_(hmac) {}

  core::StatusOr<SqlFilter> Run() {
    Skip();
    if (at_ == text_.size()) return SqlFilter{};
    INTERLOCK_ASSIGN_OR_RETURN(out_.terms, Expression(0));
    Skip();
    if (at_ != text_.size()) return Bad(at_, "unexpected `" + std::string(1, text_[at_]) + "`");
    out_.where = AsOne(out_.terms).sql;
    return std::move(out_);
  }

 private:
  using Terms = std::vector<SqlTerm>;

  static SqlTerm AsOne(Terms terms) {
    if (terms.size() == 1) return std::move(terms.front());
    SqlTerm one;
    for (const SqlTerm& term : terms) {
      one.sql += (one.sql.empty() ? "(" : " AND ") + term.sql;
      one.fields |= term.fields;
      one.set |= term.set;
    }
    one.sql += ")";
    return one;
  }

  // expression: factor { [AND] factor }
  core::StatusOr<Terms> Expression(int depth) {
    if (depth > kFilterDepthMax) return Bad(at_, "nested too deep");
    INTERLOCK_ASSIGN_OR_RETURN(Terms terms, Factor(depth));
    for (;;) {
      Skip();
      if (at_ == text_.size() || text_[at_] == ')') return terms;
      static_cast<void>(Keyword("AND"));
      INTERLOCK_ASSIGN_OR_RETURN(Terms next, Factor(depth));
      for (SqlTerm& term : next) terms.push_back(std::move(term));
    }
  }

  // factor: term { OR term }
  core::StatusOr<Terms> Factor(int depth) {
    INTERLOCK_ASSIGN_OR_RETURN(Terms terms, Term(depth));
    while (Keyword("OR")) {
      INTERLOCK_ASSIGN_OR_RETURN(Terms next, Term(depth));
      const SqlTerm left = AsOne(std::move(terms));
      const SqlTerm right = AsOne(std::move(next));
      terms = {{.sql = "(" + left.sql + " OR " + right.sql + ")",
                .fields = left.fields | right.fields,
                .set = left.set & right.set}};
    }
    return terms;
  }

  // term: [NOT | -] ( "(" expression ")" | comparison )
  core::StatusOr<Terms> Term(int depth) {
    Skip();
    const bool minus = at_ < text_.size() && text_[at_] == '-';
    if (minus) ++at_;
    const bool negated = minus || Keyword("NOT");
    Skip();
    Terms terms;
    if (at_ < text_.size() && text_[at_] == '(') {
      ++at_;
      INTERLOCK_ASSIGN_OR_RETURN(terms, Expression(depth + 1));
      Skip();
      if (at_ == text_.size() || text_[at_] != ')') return Bad(at_, "`)` is missing");
      ++at_;
    } else {
      INTERLOCK_ASSIGN_OR_RETURN(terms, Comparison());
    }
    if (!negated) return terms;
    const SqlTerm one = AsOne(std::move(terms));
    return Terms{{.sql = "(NOT " + one.sql + ")", .fields = one.fields}};
  }

  core::StatusOr<Terms> Comparison() {
    if (++terms_ > kFilterTermsMax) return Bad(at_, "more than 64 comparisons");
    const std::size_t start = at_;
    const std::string name = Word(kNameEnds);
    const auto field = std::find_if(kFields.begin(), kFields.end(),
                                    [&](const Field& f) { return f.name == name; });
    if (field == kFields.end()) {
      return Bad(start, "no field `" + name +
                            "`; there are run, call, tool, agent, actor, subject, user, verdict, "
                            "code, outcome, effect, rule, approver, amount, currency, time");
    }
    INTERLOCK_ASSIGN_OR_RETURN(const std::string_view op, Operator());
    const std::size_t value_at = at_;
    INTERLOCK_ASSIGN_OR_RETURN(const std::string value, Value());
    return Compare(*field, op, value, value_at);
  }

  static CallFields BitOf(const Field& field) {
    return 1u << static_cast<unsigned>(&field - kFields.data());
  }

  core::StatusOr<Terms> Compare(const Field& field, std::string_view op, const std::string& value,
                                std::size_t at) {
    if (field.kind == Kind::kInt || field.kind == Kind::kTime) {
      return CompareNumber(field, op == ":" ? "=" : op, value, at);
    }
    const bool equality = op == "=" || op == "!=" || op == ":";
    if (!equality) return Bad(at, "`" + std::string(field.name) + "` only knows = != and :");
    INTERLOCK_RETURN_IF_ERROR(CheckValue(field, value, at));
    if (op != "!=") return Terms{Equals(field, std::string(field.column), value)};
    const bool not_allowed = field.name == "verdict" && value == "allow";
    if (not_allowed) {
      return Terms{{.sql = "(c.verdict <> 'allow')", .fields = BitOf(field), .set = BitOf(field)}};
    }
    const SqlTerm equal = Equals(field, std::string(field.column), value);
    return Terms{{.sql = "(NOT " + equal.sql + ")", .fields = equal.fields}};
  }

  core::StatusOr<Terms> CompareNumber(const Field& field, std::string_view op,
                                      const std::string& value, std::size_t at) {
    std::int64_t number = 0;
    if (field.kind == Kind::kTime) {
      const auto time = ParseFilterTime(value);
      if (!time.ok()) return Bad(at, core::Message(time.status()));
      number = *time;
    } else {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size()) {
        return Bad(at, "`" + value + "` is not a whole number (of minor units)");
      }
    }
    SqlTerm term{
        .sql = "(" + std::string(field.column) + " " + std::string(op) + " " + Bind(number) + ")",
        .fields = BitOf(field)};
    if (field.kind == Kind::kTime) {
      const bool is = op == "=";
      if (is || op.starts_with('>')) term.from_us = number;
      if (is || op.starts_with('<')) term.until_us = number;
      return Terms{std::move(term)};
    }
    return Amounts(std::move(term), op, number);
  }

  // Beside a comparison that only money which moved can meet stands one of the sizes that can.
  Terms Amounts(SqlTerm term, std::string_view op, std::int64_t number) {
    const bool above = (op == ">" && number >= 0) || (op == ">=" && number > 0);
    const bool is = op == "=" && number > 0;
    const bool other = (op == "!=" && number == 0) || (op == "<" && number <= 0) ||
                       ((op == "<=" || op == "=") && number < 0);
    if (above || is || other) term.set = kAmountField;
    Terms terms{std::move(term)};
    if (!above && !is) return terms;
    const std::string digits = std::to_string(std::max<std::int64_t>(number, 1));
    const auto size = static_cast<std::int64_t>(digits.size()) * 10 + (digits.front() - '0');
    terms.push_back({.sql = "(" INTERLOCK_AMOUNT_SIZE("c.amount") +
                            std::string(is ? " = " : " >= ") + Bind(size) + ")",
                     .fields = kAmountSize,
                     .set = kAmountField});
    return terms;
  }

  static core::Status CheckValue(const Field& field, std::string_view value, std::size_t at) {
    const auto values = std::find_if(kValues.begin(), kValues.end(),
                                     [&](const Values& v) { return v.name == field.name; });
    const bool open = value.empty() || value.starts_with('*') || value.ends_with('*');
    if (values == kValues.end() || open) return core::OkStatus();
    const std::string known = NotAmong(values->known, value);
    if (known.empty()) return core::OkStatus();
    return Bad(at, "no " + std::string(field.name) + " is `" + std::string(value) +
                       "`; there are " + known);
  }

  SqlTerm Equals(const Field& field, const std::string& column, const std::string& value) {
    SqlTerm term{.sql = "", .fields = BitOf(field)};
    const bool open = value.starts_with('*') || value.ends_with('*');
    switch (field.kind) {
      case Kind::kSubject: {
        const std::string hmac = IsHex64(value) ? value : hmac_("subject", value);
        const std::string part = Bind(SubjectPart(hmac));
        term.equals = static_cast<int>(out_.bound.size());
        term.sql = "(c.subject_part = " + part + " AND c.subject = " + Bind(hmac) + ")";
        return term;
      }
      case Kind::kUser: {
        const std::string hmac = Bind(IsHex64(value) ? value : hmac_("user", value));
        term.equals = static_cast<int>(out_.bound.size());
        out_.of_user = true;
        term.sql =
            "(EXISTS (SELECT 1 FROM p_run r WHERE r.run = c.run AND r.user = " + hmac +
            ") OR EXISTS (SELECT 1 FROM p_call_user u WHERE u.call = c.call AND u.user = " + hmac +
            "))";
        return term;
      }
      case Kind::kPeople:  // `principal:maria`, or plainly `maria`
      case Kind::kWords:
        term.sql = HasWord(column, value);
        if (field.kind == Kind::kPeople && value.find(':') == std::string::npos &&
            !value.starts_with('*')) {
          term.sql = "(" + term.sql + " OR " + HasWord(column, "principal:" + value) + ")";
        }
        if (HasMore(value)) term.set = term.fields;
        return term;
      default:
        term.sql =
            "(" + column + (open ? " GLOB " : " = ") + Bind(open ? GlobOf(value) : value) + ")";
        if (!open) term.equals = static_cast<int>(out_.bound.size());
        // Not of a verdict that `*` may stand for.
        if (field.name == "verdict" ? !open && value != "allow" : HasMore(value)) {
          term.set = term.fields;
        }
        return term;
    }
  }

  std::string HasWord(const std::string& column, const std::string& word) {
    return "(' ' || " + column + " || ' ' GLOB " + Bind("* " + GlobOf(word) + " *") + ")";
  }

  static bool IsHex64(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }

  std::string Bind(SqlValue value) {
    out_.bound.push_back(std::move(value));
    return "?" + std::to_string(out_.bound.size());
  }

  core::StatusOr<std::string_view> Operator() {
    Skip();
    for (const std::string_view op : {"<=", ">=", "!=", "<", ">", "=", ":"}) {
      if (!text_.substr(at_).starts_with(op)) continue;
      at_ += op.size();
      return op;
    }
    return Bad(at_, "expected = != < <= > >= or :");
  }

  core::StatusOr<std::string> Value() {
    Skip();
    if (at_ == text_.size()) return Bad(at_, "a value is missing");
    const char quote = text_[at_];
    if (quote != '"' && quote != '\'') {
      std::string word = Word(kValueEnds);
      if (word.empty()) return Bad(at_, "a value is missing");
      return word;
    }
    std::string value;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_];
    }
    if (at_ == text_.size()) return Bad(at_, "the closing quote is missing");
    ++at_;
    return value;
  }

  // Times hold colons, so that a value may; a name ends at one.
  static constexpr std::string_view kNameEnds = " \t\n()\"'<>=!:";
  static constexpr std::string_view kValueEnds = " \t\n()\"'";

  std::string Word(std::string_view ends) {
    Skip();
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_of(ends, at_), text_.size());
    return std::string(text_.substr(start, at_ - start));
  }

  bool Keyword(std::string_view word) {
    Skip();
    if (!text_.substr(at_).starts_with(word)) return false;
    const std::size_t end = at_ + word.size();
    if (end < text_.size() && text_[end] != ' ' && text_[end] != '\t' && text_[end] != '\n' &&
        text_[end] != '(') {
      return false;
    }
    at_ = end;
    return true;
  }

  void Skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) {
      ++at_;
    }
  }

  const std::string_view text_;
  const Hmac& hmac_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;
  SqlFilter out_;
};

// Digits [at, at + count) of `text`, or -1.
int Digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  if (at + count > text.size()) return -1;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

core::StatusOr<SqlFilter> CompileCallFilter(
    std::string_view text,
    const std::function<std::string(std::string_view, std::string_view)>& hmac) {
  if (text.size() > kFilterBytesMax) return Bad(kFilterBytesMax, "longer than 4096 bytes");
  return Parser(text, hmac).Run();
}

core::StatusOr<std::int64_t> ParseFilterTime(std::string_view text) {
  const core::Status bad = core::InvalidArgument(
      "`" + std::string(text) + "` is no time; write 2026-11-21 or 2026-11-21T14:03:11Z");
  if (text.size() > 12 && text.find_first_not_of("0123456789") == std::string_view::npos) {
    std::int64_t micros = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), micros);
    if (error != std::errc() || end != text.data() + text.size()) return bad;
    return micros;
  }
  using std::chrono::year_month_day;
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return bad;
  const year_month_day day(std::chrono::year(Digits(text, 0, 4)),
                           std::chrono::month(static_cast<unsigned>(Digits(text, 5, 2))),
                           std::chrono::day(static_cast<unsigned>(Digits(text, 8, 2))));
  if (Digits(text, 0, 4) < 0 || !day.ok()) return bad;
  std::int64_t micros =
      std::chrono::microseconds(std::chrono::sys_days(day).time_since_epoch()).count();
  if (text.size() == 10) return micros;
  const int hour = Digits(text, 11, 2);
  const int minute = Digits(text, 14, 2);
  const int second = Digits(text, 17, 2);
  const bool shaped = text.size() >= 20 && text[10] == 'T' && text[13] == ':' && text[16] == ':' &&
                      text.back() == 'Z';
  if (!shaped || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
    return bad;
  }
  micros += ((hour * 60 + minute) * 60 + std::int64_t{second}) * 1'000'000;
  if (text.size() == 20) return micros;
  const std::size_t digits = text.size() - 21;
  if (text[19] != '.' || digits == 0 || digits > 6) return bad;
  std::int64_t fraction = Digits(text, 20, digits);
  if (fraction < 0) return bad;
  for (std::size_t i = digits; i < 6; ++i) fraction *= 10;
  return micros + fraction;
}

}  // namespace interlock::runtime
