// The hostile corpus as data: each payload with its exact refusal, and what may differ without
// namespaces.
#pragma once

#include <ostream>

namespace interlock::sandbox::test {

struct Row {
  const char* name;
  const char* payload;  // words; {work}, {secret}, {source}, {pid} are replaced
  const char* in_full;
  const char* without_namespaces;  // nullptr: as in_full
  const char* twin;                // run in the same box, must say "ok"; nullptr: none
  // What the payload says outside any box, as root. `scratch ok`: in a tree and namespaces that are
  // thrown away (scratch.cc). `scratch other`: there, each of its calls gets another answer than
  // the box's refusal: that of the kernel, or of this machine. nullptr: no control, for
  // kNoControl's reason.
  const char* outside;
};
inline std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

inline const Row kRows[] = {
    {"R01_ReadsShadow", "read /etc/shadow", "ENOENT", "EACCES", "read /usr/bin/env", "ok"},
    {"R01_ReadsHostSecret", "read {secret}", "ENOENT", "EACCES", "read {hostile}", "ok"},
    {"R01_ListsRootsHome", "list /root", "ENOENT", "EACCES", "list /usr", "ok"},
    {"R01_ReadsTheSourceTree", "read {source}", "ENOENT", "EACCES", nullptr, "ok"},
    {"R02_ClimbsOut", "read /usr/../../../../etc/shadow", "ENOENT", "EACCES",
     "read /usr/../usr/bin/env", "ok"},
    {"R02_ClimbsThroughProcRoot", "read /proc/self/root/etc/shadow", "ENOENT", "EACCES", nullptr,
     "ok"},
    {"R02_ClimbsThroughProcCwd", "read /proc/self/cwd/../../../../../../../../etc/shadow", "ENOENT",
     "EACCES", nullptr, "ok"},
    {"R03_WritesUsr", "write /usr/interlock-test", "EROFS", "EACCES", "write-temporary",
     "scratch ok"},
    {"R03_WritesRoot", "write /interlock-test", "EROFS", "EACCES", nullptr, "scratch ok"},
    {"R03_WritesEtc", "write /etc/interlock-test", "EROFS", "EACCES", nullptr, "scratch ok"},
    {"R03_RemovesProgram", "unlink /usr/bin/env", "EROFS", "EACCES", nullptr, "scratch ok"},
    // Of a file that the box's own user owns: only the walls say no.
    {"R03_ChangesMetadata", "change-metadata {secret}", "ENOENT", "EPERM", "write-temporary", "ok"},
    {"R03_ChangesMetadataOfWhatItReads", "change-open-metadata {hostile}", "EROFS", "EPERM",
     "read {hostile}", "ok"},
    {"R04_LinksToShadow", "read-through-link /etc/shadow", "ENOENT", "EACCES",
     "read-through-link /usr/bin/env", "ok"},
    {"R04_LinksToInitRoot", "read-through-link /proc/1/root/etc/shadow", "ENOENT", "EACCES",
     nullptr, "scratch ok"},
    {"R05_ReadsInitEnvironment", "read /proc/1/environ", "ENOENT", "EACCES", nullptr, "scratch ok"},
    {"R05_ReadsInitMemory", "read /proc/1/mem", "ENOENT", "EACCES", nullptr, "scratch EIO"},
    {"R06_OverwritesAProgram", "open-for-writing /usr/bin/env", "EACCES", "EACCES", nullptr,
     "scratch ok"},
    {"R06_OverwritesInit", "open-for-writing /proc/1/exe", "ENOENT", "EACCES", nullptr,
     "scratch ETXTBSY"},
    {"R06_ListsInitDescriptors", "list /proc/1/fd", "ENOENT", "EACCES", "list /usr", "ok"},
    {"R07_CorePattern", "open-for-writing /proc/sys/kernel/core_pattern", "ENOENT", "EACCES",
     nullptr, "ok"},
    {"R07_Uevent", "open-for-writing /proc/sys/kernel/modprobe", "ENOENT", "EACCES", nullptr, "ok"},
    {"R07_SysRq", "open-for-writing /proc/sysrq-trigger", "ENOENT", "EACCES", nullptr,
     "scratch other"},
    {"R07_KernelMemory", "open-for-reading /proc/kcore", "ENOENT", "EACCES", nullptr,
     "scratch other"},
    {"R07_Kallsyms", "read /proc/kallsyms", "ENOENT", "EACCES", nullptr, "ok"},
    {"R07_NetTcp", "read /proc/net/tcp", "ENOENT", "EACCES", nullptr, "ok"},
    {"R08_ReleaseAgent", "list /sys/fs/cgroup", "ENOENT", "EACCES", nullptr, "ok"},
    {"R08_WritesReleaseAgent", "open-for-writing /sys/fs/cgroup/memory/release_agent", "ENOENT",
     "EACCES", nullptr, "ok"},
    {"R08_MountsGroups", "mount-groups", "EPERM", nullptr, nullptr, "scratch other"},
    {"R09_MakesDevices", "make-device", "EPERM", nullptr, "write-temporary", "scratch other"},
    {"R10_SetsSetId", "set-id {work}", "EPERM", nullptr, "plain-mode {work}", "ok"},
    {"R10_BecomesRoot", "become-root", "EPERM", nullptr, nullptr, "scratch other"},
    {"R13_HugeFiles", "huge {work}", "EFBIG", nullptr, "small-size {work}", nullptr},
    {"R14_OpensByHandle", "call 304", "EPERM", nullptr, nullptr, "scratch other"},
    {"R15_ChangesRoot", "call 161", "EPERM", nullptr, nullptr, "scratch other"},
    {"R16_MountFamily", "mount-family", "EPERM", nullptr, "list /usr", "scratch other"},
    {"R17_InheritedDescriptors", "descriptors", "0", nullptr, nullptr, "scratch other"},
    {"R18_KernelMessages", "read /dev/kmsg", "ENOENT", "EACCES", "read /dev/zero", "scratch other"},
    {"R18_Disk", "read /dev/vda", "ENOENT", "EACCES", nullptr, "scratch other"},
    {"R18_PhysicalMemory", "open-for-reading /dev/mem", "ENOENT", "EACCES", nullptr,
     "scratch other"},
    {"R18_VirtualMachines", "open-for-writing /dev/kvm", "ENOENT", "EACCES", nullptr,
     "scratch other"},
    {"R18_Terminal", "open-for-writing /dev/tty", "ENOENT", "EACCES", nullptr, "scratch other"},
    {"R18_Fuse", "open-for-writing /dev/fuse", "ENOENT", "EACCES", nullptr, "scratch other"},
    {"R18_HostSockets", "open-for-writing /dev/vsock", "ENOENT", "EACCES", nullptr,
     "scratch other"},
    {"R19_TerminalTricks", "terminal-tricks", "EPERM", nullptr, "ask-readable", "scratch other"},
    {"R21_LooksIntoOthers", "look-into-others", "EPERM", nullptr, nullptr, "scratch other"},
    {"R22_SignalsParent", "signal-parent", "EPERM", nullptr, "signal-own-child", "scratch ok"},
    {"R22_SignalsInit", "signal 1", "EPERM", nullptr, nullptr, "scratch ok"},
    {"R22_SignalsHostProcess", "signal {pid}", "ESRCH", "EPERM", nullptr, nullptr},
    {"R22_DescriptorThatSignals", "own-descriptor {pid}", "ESRCH", "EPERM", nullptr, "ok"},
    {"R33_Namespaces", "namespaces", "EPERM", nullptr, "fork", "scratch other"},
    {"R34_Clone3", "clone3", "ENOSYS", nullptr, nullptr, "scratch other"},
    {"R35_Personality", "personality", "EPERM", nullptr, "ask-personality", "ok"},
    {"R36_MoreFilter", "more-filter", "EPERM", nullptr, nullptr, "scratch other"},
    {"R37_AnonymousProgram", "anonymous-program", "EPERM", nullptr, nullptr, "scratch other"},
    {"R40_KernelDoors", "kernel-doors", "EPERM", nullptr, nullptr, "scratch other"},
    {"R41_BpfPerfAndFaults", "call 321", "EPERM", nullptr, nullptr, "scratch other"},
    {"R42_Keys", "call 250", "EPERM", nullptr, nullptr, "scratch other"},
    {"R43_MachineDoors", "machine-doors", "EPERM", nullptr, nullptr, "scratch other"},
    {"R44_Tcp", "socket 2 1", "EPERM", nullptr, "socket-pair", "ok"},
    {"R45_UdpForNames", "socket 2 2", "EPERM", nullptr, "socket-pair", "ok"},
    {"R46_Netlink", "socket 16 3", "EPERM", nullptr, nullptr, "ok"},
    {"R46_Inet6", "socket 10 1", "EPERM", nullptr, nullptr, "scratch other"},
    {"R46_Packet", "socket 17 3", "EPERM", nullptr, nullptr, "scratch other"},
    {"R46_HostSockets", "socket 40 1", "EPERM", nullptr, nullptr, "scratch other"},
    {"R44_Sockets", "sockets", "EPERM", nullptr, "socket-pair", "scratch other"},
    {"R47_DockerSocket", "ask-outside /run/docker.sock", "EPERM", nullptr, "socket-pair",
     "scratch other"},
    {"R47_AbstractSocket", "socket 1 1", "EPERM", nullptr, "socket-pair", "ok"},
    {"R49_MachineMemory", "read /proc/meminfo", "ENOENT", "EACCES", nullptr, "ok"},
    // It shows where on their file system mounts came from: docs/threat_model.md says so.
    {"R49_OwnMounts", "read /proc/self/mountinfo", "ok", "EACCES", nullptr, "ok"},
    {"R50_Scheduling", "scheduling", "EPERM", nullptr, nullptr, "scratch other"},
    {"R52_RaisesLimits", "raise-limits", "EPERM", nullptr, nullptr, nullptr},
    {"R52_OpensMany", "open-many", "EMFILE after 255", nullptr, nullptr, "scratch other"},
    // Counted for the host's user behind the box, whatever user the box is.
    {"R70_UsesUpWatchers", "watchers 4", "ENOSYS", nullptr, "list /usr", "ok"},
    {"R70_UsesUpPendingSignals", "timers 1100 1024", "EAGAIN within 1024", nullptr, "timers 100",
     "ok"},
    {"R57_Unleashes", "unleash", "ok", nullptr, nullptr, "scratch ok"},
    {"R66_DescriptorFromOutside", "ask-outside {work}/giver", "EPERM", nullptr, "pass-descriptor",
     "scratch other"},
    {"R69_NamesThatAreNot", "stat-many 20000", "ok", nullptr, nullptr, "scratch ok"},
    {"R70_FloodsTheLauncher", "flood-sockets", "0 sockets", nullptr, nullptr, "scratch other"},
    {"R55_RenameOut", "rename-out /usr/bin/env", "EXDEV", "EXDEV|EPERM|EACCES",
     "rename-within {work}", "scratch ok"},
    // Without namespaces both lie on one file system: Landlock says EXDEV to the file's owner, the
    // kernel's protected_hardlinks says EPERM to others first.
    {"R55_HardLink", "hard-link", "EXDEV", "EXDEV|EPERM|EACCES", nullptr, "scratch ok"},
};

// Rows without one, and why.
struct NoControl {
  const char* name;
  const char* why;
};
inline const NoControl kNoControl[] = {
    {"R13_HugeFiles",
     "outside it takes the room of the machine's disk; its twin is a smaller file"},
    {"R22_SignalsHostProcess", "outside it ends this test; R22_SignalsParent shows the call"},
    {"R52_RaisesLimits", "whether root may raise its limits is for the machine to say"},
};

// What may differ at landlock-only against the rows above, and why. Nothing else may.
struct AllowedDifference {
  const char* in_full;
  const char* without_namespaces;
  const char* why;
};
inline const AllowedDifference kAllowedDifferences[] = {
    {"ENOENT", "EACCES", "the path is there, and Landlock closes it"},
    {"EROFS", "EACCES", "nothing is mounted read-only, and Landlock closes it"},
    {"ENOENT", "EPERM", "the file is there, and the filter closes the change"},
    {"EROFS", "EPERM", "nothing is mounted read-only, and the filter closes the change"},
    {"ESRCH", "EPERM", "the process is there, and Landlock's scope or the filter protects it"},
    {"EXDEV", "EXDEV|EPERM|EACCES", "one file system: Landlock and protected_hardlinks say no"},
    {"ok", "EACCES", "no path below /proc is granted"},
};

// Harmless twins that the walls without namespaces stop too: docs/sandbox.md tells authors.
struct HinderedTwin {
  const char* twin;
  bool old_landlock_only;
  const char* says;
  const char* why;
};
inline const HinderedTwin kHinderedTwins[] = {
    {"plain-mode {work}", false, "EPERM", "Landlock judges no modes, so nobody may change them"},
    {"signal-own-child", true, "EPERM", "Landlock has no scope, so nobody gets signals"},
};

}  // namespace interlock::sandbox::test
