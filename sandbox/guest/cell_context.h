// Which cell the code that calls belongs to, which need not be the one that runs in front: threads
// and tasks go on when their cell is over.
//
// A cell's number is inherited by what it starts: tasks and callbacks have it in their context,
// threads by the wrapped functions of module _thread, which hand the account of memory on as well.
//
// Thread-safety: with the GIL. Each interpreter has cells of its own.

#ifndef CLOISTER_SANDBOX_GUEST_CELL_CONTEXT_H_
#define CLOISTER_SANDBOX_GUEST_CELL_CONTEXT_H_

#include <cstdint>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Before an interpreter's first cell, once. False with a Python exception set.
bool SetUpCellContext();

// The context variable that holds the number; the runner of cells sets it in the cells' own
// context.
PyObject* CellVariable();

// The cell that runs in front; 0 between cells.
void SetForegroundCell(int64_t cell);
int64_t ForegroundCell();

// The cell that the caller's output belongs to: its own, else the one in front, else the last one
// that was. 0 before the first. Leaves the Python exception that is set alone.
int64_t CellOfCaller();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CELL_CONTEXT_H_
