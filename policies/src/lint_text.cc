#include "lint_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>

#include "lua_tokens.h"

namespace interlock::policies {
namespace {

using Kind = LuaToken::Kind;

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'; }
bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

// Without its quotes or long brackets; escapes stay as they are but for a doubled backslash.
std::string TextOf(std::string_view token) {
  if (token.starts_with("[")) {
    const std::size_t level = token.find('[', 1) + 1;
    return std::string(token.substr(level, token.size() - 2 * level));
  }
  std::string text;
  for (std::size_t i = 1; i + 1 < token.size(); ++i) {
    if (token[i] == '\\' && i + 2 < token.size() && token[i + 1] == '\\') ++i;
    text += token[i];
  }
  return text;
}

// Where a word, a dot and two letters or more stand, as in `corp.example`: the dot's offset.
std::size_t HostDot(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('.', from); at != std::string_view::npos;
       at = text.find('.', at + 1)) {
    const bool before = at > 0 && IsWordByte(text[at - 1]);
    std::size_t letters = at + 1;
    while (letters < text.size() && IsLetter(text[letters])) ++letters;
    if (before && letters >= at + 3) return at;
  }
  return std::string_view::npos;
}

// The bracket that closes the class which opens at `from`.
std::size_t ClassEnd(std::string_view pattern, std::size_t from) {
  for (std::size_t at = from + 1; at < pattern.size(); ++at) {
    if (pattern[at] == '\\') {
      ++at;
    } else if (pattern[at] == ']' && at > from + 1) {
      return at;
    }
  }
  return pattern.size();
}

struct PatternFaults {
  bool host_class = false;  // [^corp.example]
  bool any_dot = false;     // corp.example
  bool names_host = false;  // corp\.example
};

PatternFaults Look(std::string_view pattern) {
  PatternFaults faults;
  std::string outside;  // escapes of a dot as `\x01`, classes as one `*`
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      outside += pattern[++at] == '.' ? '\x01' : '*';
    } else if (pattern[at] == '[') {
      const std::size_t end = ClassEnd(pattern, at);
      const std::string_view inside = pattern.substr(at + 1, end - at - 1);
      faults.host_class = faults.host_class || HostDot(inside, 0) != std::string_view::npos;
      outside += '*';
      at = end;
    } else {
      outside += pattern[at];
    }
  }
  faults.any_dot = HostDot(outside, 0) != std::string_view::npos;
  std::replace(outside.begin(), outside.end(), '.', '*');
  std::replace(outside.begin(), outside.end(), '\x01', '.');
  faults.names_host = HostDot(outside, 0) != std::string_view::npos;
  return faults;
}

class TextLinter {
 public:
  TextLinter(const BundleFile& file, std::vector<Finding>& findings)
      : file_(file), findings_(findings), tokens_(LuaTokens(file.text)) {}

  void Run() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (Is(i, "patterns") && Is(i + 1, "{")) Patterns(i + 1);
      if (Is(i, "budget") && i + 1 < tokens_.size() && tokens_[i + 1].kind == Kind::kText) {
        Budget(i);
      }
      Money(i);
    }
  }

 private:
  bool Is(std::size_t i, std::string_view text) const {
    return i < tokens_.size() && tokens_[i].text == text && tokens_[i].kind != Kind::kText;
  }

  void Warn(int line, std::string code, std::string message) {
    findings_.push_back({.file = file_.path,
                         .line = line,
                         .severity = "warning",
                         .code = std::move(code),
                         .message = std::move(message)});
  }

  void Patterns(std::size_t open) {
    int depth = 0;
    for (std::size_t i = open; i < tokens_.size(); ++i) {
      if (Is(i, "{")) ++depth;
      if (Is(i, "}") && --depth == 0) return;
      if (tokens_[i].kind == Kind::kText) Pattern(tokens_[i]);
    }
  }

  void Pattern(const LuaToken& token) {
    const std::string pattern = TextOf(token.text);
    const PatternFaults faults = Look(pattern);
    const std::string shown = "pattern `" + pattern + "`";
    if (faults.host_class) {
      Warn(token.line, "PATTERN_CLASS",
           shown +
               ": a class in [ ] is one character out of many, not a name; use none_of, "
               "suffix or like");
    }
    if (faults.any_dot) {
      Warn(token.line, "PATTERN_DOT", shown + ": `.` is any character; write `\\.` for a dot");
    }
    const bool ends = pattern.ends_with("$") || pattern.ends_with("\\z") ||
                      pattern.ends_with("\\b") || pattern.ends_with("$)");
    if ((faults.names_host || faults.any_dot) && !ends) {
      Warn(token.line, "PATTERN_ANCHOR",
           shown + ": without `$` it also fits a longer host, such as one that goes on behind it");
    }
  }

  // What models use is charged without a rule.
  bool IsCharged(std::size_t at) const {
    int depth = 0;
    for (std::size_t i = at; i < tokens_.size(); ++i) {
      if (Is(i, "charges")) return true;
      if (Is(i, "{")) ++depth;
      if (Is(i, "}") && --depth == 0) break;
    }
    return false;
  }

  // A budget whose name in the file stands nowhere else, or that has none.
  void Budget(std::size_t at) {
    if (IsCharged(at)) return;
    const std::string name(tokens_[at + 1].text);
    const bool named = at >= 2 && Is(at - 1, "=") && tokens_[at - 2].kind == Kind::kName;
    const auto same = [&](const LuaToken& token) {
      return token.kind == Kind::kName && token.text == tokens_[at - 2].text;
    };
    // In a table or a call it may be reached in other ways.
    const bool bare = at == 0 || tokens_[at - 1].line != tokens_[at].line;
    const bool unused =
        named ? std::count_if(tokens_.begin(), tokens_.end(), same) == 1 && !Is(at - 3, ",") : bare;
    if (!unused) return;
    Warn(tokens_[at].line, "UNUSED_BUDGET",
         "budget " + name + " is never reserved from; write reserve(…) or take it out");
  }

  // c.args.amount > 50.5
  void Money(std::size_t i) {
    static constexpr std::array<std::string_view, 6> kCompares = {"<", "<=", ">", ">=", "==", "~="};
    const bool compares =
        std::find(kCompares.begin(), kCompares.end(), tokens_[i].text) != kCompares.end() &&
        tokens_[i].kind == Kind::kSign;
    if (!compares || i == 0 || i + 1 >= tokens_.size()) return;
    const LuaToken& left = tokens_[i - 1];
    const LuaToken& right = tokens_[i + 1];
    const bool decimal =
        right.kind == Kind::kNumber && right.text.find('.') != std::string_view::npos;
    if (!decimal || left.kind != Kind::kName || !IsMoneyName(left.text)) return;
    Warn(right.line, "FLOAT_MONEY",
         "`" + std::string(left.text) + "` looks like money; write money_of(…, \"USD\") " +
             std::string(tokens_[i].text) + " usd(" + std::string(right.text) + ")");
  }

  const BundleFile& file_;
  std::vector<Finding>& findings_;
  const std::vector<LuaToken> tokens_;
};

}  // namespace

void LintText(const BundleFile& file, std::vector<Finding>& findings) {
  TextLinter(file, findings).Run();
}

bool IsMoneyName(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kWords = {
      "amount", "price", "total", "cost", "fee", "balance", "paid", "refund", "payment", "charge"};
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
    return name == word || (name.ends_with(word) && name[name.size() - word.size() - 1] == '_');
  });
}

std::optional<double> NumberOf(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace interlock::policies
