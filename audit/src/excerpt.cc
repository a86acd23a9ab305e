#include "excerpt.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "sqlite.h"

namespace interlock::audit {
namespace {

constexpr int kWordsBefore = 4;
constexpr int kWordsAfter = 7;
constexpr std::size_t kPartBytesMax = 200;  // of the hit, and on each of its sides
constexpr std::string_view kCut = "…";

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Where the words of interest stand in the text.
struct Window {
  int read = 0;   // words so far
  int first = 0;  // by number of the word
  int hit = 0;
  int hit_end = 0;
  int end = 0;
  Span all;
  Span marked;
  bool before = false;  // words stand before it
  bool after = false;
};

int OnToken(void* context, int /*flags*/, const char* /*token*/, int /*bytes*/, int begin,
            int end) {
  Window& window = *static_cast<Window*>(context);
  const int word = window.read++;
  if (word >= window.end) {
    window.after = true;
    return SQLITE_DONE;  // the rest of the text is not read
  }
  const Span here{static_cast<std::size_t>(begin), static_cast<std::size_t>(end)};
  if (word < window.first) window.before = true;
  if (word == window.first) window.all.begin = here.begin;
  if (word == window.hit) window.marked.begin = here.begin;
  if (word >= window.hit && word < window.hit_end) window.marked.end = here.end;
  window.all.end = here.end;
  return SQLITE_OK;
}

bool IsInsideLetter(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

std::string Head(std::string_view text) {
  std::size_t end = std::min(text.size(), kPartBytesMax);
  while (end > 0 && IsInsideLetter(text, end)) --end;
  return std::string(text.substr(0, end)) + std::string(end < text.size() ? kCut : "");
}

std::string Tail(std::string_view text) {
  std::size_t begin = text.size() - std::min(text.size(), kPartBytesMax);
  while (IsInsideLetter(text, begin)) ++begin;
  return std::string(begin > 0 ? kCut : "") + std::string(text.substr(begin));
}

std::string TextOf(std::string_view text, const Window& window) {
  const std::size_t begin = window.before ? window.all.begin : 0;
  const std::size_t end = window.after ? window.all.end : text.size();
  const auto part = [text](std::size_t from, std::size_t to) {
    return text.substr(from, to - std::min(from, to));
  };
  return std::string(window.before ? kCut : "") + Tail(part(begin, window.marked.begin)) + "[" +
         Head(part(window.marked.begin, window.marked.end)) + "]" +
         Head(part(window.marked.end, end)) + std::string(window.after ? kCut : "");
}

// The word at which the first phrase that stands in the column begins; -1: none does.
int FirstHit(const Fts5ExtensionApi* api, Fts5Context* row, int column, int& words) {
  int first = -1;
  for (int phrase = 0; phrase < api->xPhraseCount(row); ++phrase) {
    Fts5PhraseIter each{};
    int in = -1;
    int at = -1;
    const int rc = api->xPhraseFirst(row, phrase, &each, &in, &at);
    while (rc == SQLITE_OK && in >= 0 && in != column) {
      api->xPhraseNext(row, &each, &in, &at);
    }
    if (rc != SQLITE_OK || in != column || (first >= 0 && at >= first)) continue;
    first = at;
    words = api->xPhraseSize(row, phrase);
  }
  return first;
}

void Excerpt(const Fts5ExtensionApi* api, Fts5Context* row, sqlite3_context* result, int count,
             sqlite3_value** values) {
  const int column = count == 1 ? sqlite3_value_int(values[0]) : 0;
  const char* bytes = nullptr;
  int size = 0;
  int rc = api->xColumnText(row, column, &bytes, &size);
  if (rc != SQLITE_OK) return sqlite3_result_error_code(result, rc);
  const std::string_view text(bytes == nullptr ? "" : bytes, static_cast<std::size_t>(size));
  int words = 0;
  const int hit = FirstHit(api, row, column, words);
  if (hit < 0) return sqlite3_result_text(result, "", 0, SQLITE_STATIC);
  Window window;
  window.first = std::max(0, hit - kWordsBefore);
  window.hit = hit;
  window.hit_end = hit + words;
  window.end = window.hit_end + kWordsAfter;
  rc = api->xTokenize(row, text.data(), size, &window, OnToken);
  if (rc != SQLITE_OK && rc != SQLITE_DONE) return sqlite3_result_error_code(result, rc);
  const std::string excerpt = TextOf(text, window);
  sqlite3_result_text64(result, excerpt.data(), excerpt.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace

core::Status AddExcerpt(sqlite3* db) {
  fts5_api* api = nullptr;
  INTERLOCK_ASSIGN_OR_RETURN(Statement find, Statement::Prepare(db, "SELECT fts5(?1)"));
  sqlite3_bind_pointer(find.get(), 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
  INTERLOCK_RETURN_IF_ERROR(find.Step().status());
  if (api == nullptr) return core::Internal("this SQLite library has no full text (FTS5)");
  if (api->xCreateFunction(api, "excerpt", nullptr, Excerpt, nullptr) == SQLITE_OK) {
    return core::OkStatus();
  }
  return SqlError(db, "adding a function of full text");
}

}  // namespace interlock::audit
