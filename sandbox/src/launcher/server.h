// The launcher's one loop: takes calls from the daemon, makes boxes, watches their limits, returns
// results. Nothing here blocks on a box.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "box.h"
#include "fitting.h"
#include "ground.h"
#include "maker.h"
#include "message.h"
#include "process.h"
#include "quota.h"
#include "registry.h"

namespace interlock::sandbox {

// Making boxes ahead must not compete with the call that emptied the pool.
inline constexpr std::int64_t kFillDelayUs = 3'000;

struct ServerOptions {
  int socket = -1;
  int state_file = -1;
  unsigned boxes_max = 64;
  unsigned pool_per_profile = 2;
};

class Server {
 public:
  Server(const ServerOptions& options, const std::array<Filter, kProfiles>& filters,
         const Ground& ground);
  ~Server();

  // Until the daemon goes, or says so, and every box has ended.
  void Run();

  // For the trial: makes one box, runs the call and returns its end.
  BoxResult RunOne(Call call);

 private:
  // What the last call of a profile, with mounts or without, was like: boxes made ahead are so.
  struct Wanted {
    Profile profile;
    Shape shape;
    CgroupLimits limits;
  };

  // Boxes.
  Box* Make(Profile profile, const Shape& shape, std::string& problem);
  Box* TakePooled(Profile profile, const Shape& shape);
  Box* BestPooled(Profile profile, const Shape& shape) const;
  void Fill();
  bool Short(const Wanted& wanted) const;
  // A sealed box that was made for calls unlike the last one; null: none.
  Box* Outdated(const Wanted& wanted) const;
  void Want(const Call& call, const Shape& shape);
  void ClearUp();
  void Reap();
  Box* BoxOf(pid_t pid) const;  // null: of none
  void Finish(Box& box);
  void WorkOut(Box& box);
  void FinishAll();

  // Calls.
  void Accept(Call call);
  void StartWaiting();
  void GiveUpWaiting(std::int64_t now);
  void Start(Call call);
  // A box that fits, ready or new; null with `fitting.problem`.
  Box* BoxFor(const Call& call, Fitting& fitting);
  bool Hand(Box& box, Call call, Fitting& fitting);
  void Refuse(std::uint64_t id, std::string why);
  void Cancel(std::uint64_t id);

  // Events.
  bool TakeReports(Box& box);
  void OnDaemon();
  // `stripped`: its descriptors were lost.
  void OnMessage(std::string_view bytes, std::vector<Fd>& fds, bool stripped);
  void OnBox(unsigned slot, unsigned what);
  void OnTime();
  void KeepHouse();
  void OnDeadline(Box& box, std::int64_t now);
  void TakeSignals();
  void CountFolders(std::int64_t now);
  int TimeToNext() const;
  void Watch(int fd, unsigned slot, unsigned what);
  void WatchForEnd(Box& box);
  void Unwatch(const Fd& fd);
  void Send(std::uint64_t id, BoxResult result);
  void Tell(Box& box);
  void Flush();
  void KillAll();
  unsigned running() const;

  const ServerOptions options_;
  const Ground ground_;
  const Registry registry_;
  const Maker maker_;
  CountBudget counting_;
  Fitter fitter_;
  const UnforkedMemory room_;  // of a message from the daemon
  Fd epoll_;
  Fd signals_;
  std::map<unsigned, std::unique_ptr<Box>> boxes_;  // by slot
  // Of these those that have a call. Each event looks at them, and ready boxes are many and cold.
  std::vector<Box*> called_;
  std::deque<Call> waiting_;
  struct Outgoing {
    std::string bytes;
    Fd outputs;
  };
  std::deque<Outgoing> outgoing_;
  // Boxes whose results are out. Nobody waits for their removal, and whoever got a result wants the
  // processor.
  std::vector<std::unique_ptr<Box>> dead_;
  std::int64_t clear_at_us_ = 0;
  // By profile and kind.
  std::array<std::optional<Wanted>, kProfiles * kPoolKinds> wanted_{};
  std::int64_t fill_at_us_ = 0;
  bool ending_ = false;
  std::optional<BoxResult>* trial_ = nullptr;
};

}  // namespace interlock::sandbox
