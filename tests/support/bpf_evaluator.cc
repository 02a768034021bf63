#include "tests/support/bpf_evaluator.h"

#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace cloister::testing {
namespace {

absl::Status Malformed(size_t index, const sock_filter& instruction) {
  return absl::InvalidArgumentError(absl::StrCat("instruction ", index, " is malformed: code ",
                                                 instruction.code, ", k ", instruction.k));
}

struct Machine {
  uint32_t accumulator = 0;
  uint32_t index = 0;
  std::array<uint32_t, BPF_MEMWORDS> memory = {};
};

// Loads and stores. False where the kernel would have refused the instruction.
bool Move(const sock_filter& instruction, const seccomp_data& call, Machine& machine) {
  const uint32_t k = instruction.k;
  const bool in_memory = k < machine.memory.size();
  switch (instruction.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      if (k % 4 != 0 || k > sizeof(call) - 4) return false;
      std::memcpy(&machine.accumulator, reinterpret_cast<const char*>(&call) + k, 4);
      return true;
    case BPF_LD | BPF_IMM:
      machine.accumulator = k;
      return true;
    case BPF_LDX | BPF_IMM:
      machine.index = k;
      return true;
    case BPF_LD | BPF_MEM:
      if (in_memory) machine.accumulator = machine.memory[k];
      return in_memory;
    case BPF_LDX | BPF_MEM:
      if (in_memory) machine.index = machine.memory[k];
      return in_memory;
    case BPF_ST:
      if (in_memory) machine.memory[k] = machine.accumulator;
      return in_memory;
    case BPF_STX:
      if (in_memory) machine.memory[k] = machine.index;
      return in_memory;
    case BPF_MISC | BPF_TAX:
      machine.index = machine.accumulator;
      return true;
    case BPF_MISC | BPF_TXA:
      machine.accumulator = machine.index;
      return true;
    default:
      return false;
  }
}

bool Calculate(const sock_filter& instruction, Machine& machine) {
  uint32_t& a = machine.accumulator;
  const uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? machine.index : instruction.k;
  switch (BPF_OP(instruction.code)) {
    case BPF_AND:
      a &= operand;
      return true;
    case BPF_OR:
      a |= operand;
      return true;
    case BPF_XOR:
      a ^= operand;
      return true;
    case BPF_ADD:
      a += operand;
      return true;
    case BPF_SUB:
      a -= operand;
      return true;
    case BPF_MUL:
      a *= operand;
      return true;
    case BPF_LSH:
      a = operand < 32 ? a << operand : 0;
      return true;
    case BPF_RSH:
      a = operand < 32 ? a >> operand : 0;
      return true;
    case BPF_NEG:
      a = -a;
      return true;
    default:
      return false;  // seccomp programs do not divide
  }
}

// How many instructions to skip, or -1.
int64_t Jump(const sock_filter& instruction, const Machine& machine) {
  const uint32_t a = machine.accumulator;
  const uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? machine.index : instruction.k;
  switch (BPF_OP(instruction.code)) {
    case BPF_JA:
      return instruction.k;
    case BPF_JEQ:
      return a == operand ? instruction.jt : instruction.jf;
    case BPF_JGT:
      return a > operand ? instruction.jt : instruction.jf;
    case BPF_JGE:
      return a >= operand ? instruction.jt : instruction.jf;
    case BPF_JSET:
      return (a & operand) != 0 ? instruction.jt : instruction.jf;
    default:
      return -1;
  }
}

}  // namespace

absl::StatusOr<uint32_t> EvaluateBpf(absl::Span<const sock_filter> program,
                                     const seccomp_data& call) {
  Machine machine;
  // Jumps only go forward, so every program ends.
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& instruction = program[at];
    switch (BPF_CLASS(instruction.code)) {
      case BPF_RET:
        return BPF_RVAL(instruction.code) == BPF_A ? machine.accumulator : instruction.k;
      case BPF_JMP: {
        const int64_t skip = Jump(instruction, machine);
        if (skip < 0) return Malformed(at, instruction);
        at += static_cast<size_t>(skip);
        break;
      }
      case BPF_ALU:
        if (!Calculate(instruction, machine)) return Malformed(at, instruction);
        break;
      default:
        if (!Move(instruction, call, machine)) return Malformed(at, instruction);
    }
  }
  return absl::InvalidArgumentError("the program runs past its end");
}

}  // namespace cloister::testing
