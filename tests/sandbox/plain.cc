// What programs ordinarily do, linked statically: threads, a child, files that are written,
// renamed, mapped and read again. Prints what came of it. An argument
// spares it changes of modes.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

long SumOfSquares(int count) {
  std::vector<long> squares(static_cast<std::size_t>(count));
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int part = 0; part < kThreads; ++part) {
    threads.emplace_back([&squares, part, count] {
      for (int i = part; i < count; i += kThreads) {
        squares[static_cast<std::size_t>(i)] = long{i} * i;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  long sum = 0;
  for (const long square : squares) sum += square;
  return sum;
}

std::string ChildSays() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) Fail("pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  char program[] = "/bin/echo";
  char word[] = "sub";
  char* argv[] = {program, word, nullptr};
  pid_t child = 0;
  if ((errno = ::posix_spawn(&child, program, &actions, nullptr, argv, environ)) != 0) {
    Fail("spawn");
  }
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char text[16] = {};
  const ssize_t size = ::read(ends[0], text, sizeof text - 1);
  int status = 0;
  if (size < 0 || ::waitpid(child, &status, 0) != child || status != 0) Fail("child");
  return text;
}

int FileHolds(int number, bool change_mode) {
  const char* const folder = std::getenv("TMPDIR");
  std::string name = std::string(folder == nullptr ? "/tmp" : folder) + "/plain-XXXXXX";
  const int file = ::mkstemp(name.data());
  if (file < 0 || ::write(file, &number, sizeof number) != sizeof number) Fail("temporary file");
  void* const seen = ::mmap(nullptr, sizeof number, PROT_READ, MAP_SHARED, file, 0);
  if (seen == MAP_FAILED) Fail("map");
  int found = 0;
  std::memcpy(&found, seen, sizeof found);
  ::munmap(seen, sizeof number);
  ::close(file);
  const int kept = ::open("result.part", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (kept < 0 || ::fsync(kept) != 0) Fail("file in the work folder");
  if (change_mode && ::fchmod(kept, 0600) != 0) Fail("mode of a file in the work folder");
  ::close(kept);
  if (::rename("result.part", "result") != 0 || ::unlink("result") != 0) Fail("rename");
  return found;
}

}  // namespace

int main(int argc, char**) {
  int count = 0;
  if (std::scanf("%d", &count) != 1) Fail("input");
  char salt[8];
  if (::getrandom(salt, sizeof salt, 0) != sizeof salt) Fail("random");
  std::printf("sum %ld\n", SumOfSquares(count));
  std::printf("child says %s", ChildSays().c_str());
  std::printf("file %d\n", FileHolds(count, argc == 1));
  return 0;
}
