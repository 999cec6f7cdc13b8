# SPDX-License-Identifier: BSD-3-Clause
# cython: auto_pickle=False
# Design: a mask stands for an array that is made when it is asked for. Its operators make the array
# and leave the rest to it. There is no __array_ufunc__: with it, `mask * x` would be NumPy's for
# arrays of every other package, too.
#
# Masks hold tuples of ints and arrays of their own alone, so none can be part of a cycle: Python
# need not look for these, which saves small calls a twentieth.
cimport cython

import numpy as np

from fastdrop._checks import refuse_truth, refuse_without_axes


@cython.no_gc
cdef class AnyMask:
    """What every mask is: a shape, elements that ``__array__`` makes, a map to be applied."""

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    def apply(self, x, out=None):
        """Return ``x * scale`` where kept, 0 where dropped. A GaussianMask gives x times factors.

        Parameters
        ----------
        x : array_like of float
            An array to which the mask's shape broadcasts.
        out : ndarray, optional
            Where to write: an array of x's shape and dtype. It may be x.

        Returns
        -------
        y : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError
            If x does not hold floats, or out has another dtype.
        ValueError
            If the mask's shape does not broadcast to x's, or out is read-only or has another shape.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.dropout_mask(3, p=0.0, rng=1).apply([1.0, 2.0, 3.0])
        array([1., 2., 3.])
        """
        return self.applied(x, out, "x")

    def backward(self, dy, out=None):
        """Return the gradient with respect to x: ``dy`` with the same mask applied.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to the output.
        out : ndarray, optional
            Where to write: an array of dy's shape and dtype. It may be dy.

        Returns
        -------
        dx : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError, ValueError
            As in `apply`. A mask of `zoneout`, which has two gradients, is a ValueError.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> y, mask = fd.dropout(np.ones(4), p=0.5, rng=1)
        >>> bool(np.all(mask.backward(np.ones(4)) == y))
        True
        """
        self.check_backward()
        return self.applied(dy, out, "dy")

    cdef int check_backward(self) except -1:
        """Check that the same map is the gradient of the forward function."""
        return 0

    cdef object applied(self, object x, object out, str name):
        """Return x under the mask; errors call it by that name."""
        raise NotImplementedError

    def astype(self, *args, **kwargs):
        """Return the elements as an array of another type.

        Parameters
        ----------
        *args, **kwargs
            The arguments of the array method: dtype, order, casting.

        Returns
        -------
        array : ndarray
            The result of ``np.asarray(mask).astype``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.dropout_mask(3, p=0.0, rng=1).astype(float)
        array([1., 1., 1.])
        """
        return np.asarray(self).astype(*args, **kwargs)

    def sum(self, *args, **kwargs):
        """Return the sum of the elements. Of a Mask, it is the number of those that are kept.

        Parameters
        ----------
        *args, **kwargs
            The arguments of the array method: axis, dtype, out, keepdims.

        Returns
        -------
        total : scalar or ndarray
            The result of ``np.asarray(mask).sum``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.dropout_mask((2, 4), p=0.0, rng=1).sum(axis=1)
        array([4, 4])
        """
        return np.asarray(self).sum(*args, **kwargs)

    def mean(self, *args, **kwargs):
        """Return the mean of the elements. Of a Mask, it is the part that is kept.

        Parameters
        ----------
        *args, **kwargs
            The arguments of the array method: axis, dtype, out, keepdims.

        Returns
        -------
        mean : scalar or ndarray
            The result of ``np.asarray(mask).mean``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> print(f"{fd.dropout_mask(100_000, p=0.25, rng=1).mean():.2f}")
        0.75
        """
        return np.asarray(self).mean(*args, **kwargs)

    def any(self, *args, **kwargs):
        """Tell whether any element is true. In a Mask, it is kept.

        Parameters
        ----------
        *args, **kwargs
            The arguments of the array method: axis, out, keepdims.

        Returns
        -------
        answer : scalar or ndarray
            The result of ``np.asarray(mask).any``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> bool(fd.dropout_mask(9, p=1.0, rng=1).any())
        False
        """
        return np.asarray(self).any(*args, **kwargs)

    def all(self, *args, **kwargs):
        """Tell whether all elements are true. In a Mask, they are kept.

        Parameters
        ----------
        *args, **kwargs
            The arguments of the array method: axis, out, keepdims.

        Returns
        -------
        answer : scalar or ndarray
            The result of ``np.asarray(mask).all``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.dropout_mask((2, 3), p=0.0, rng=1).all(axis=0)
        array([ True,  True,  True])
        """
        return np.asarray(self).all(*args, **kwargs)

    def __dlpack__(self, **options):
        if options.get("copy") is False:
            raise BufferError("copy=False is not possible: the elements are made when asked for")
        return np.asarray(self).__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0  # the CPU

    def __len__(self):
        if not self.shape:
            refuse_without_axes("len() of")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            refuse_without_axes("iteration over")
        return map(self.__getitem__, range(self.shape[0]))

    def __contains__(self, element):
        return element in np.asarray(self)

    def __bool__(self):
        if self.size != 1:
            refuse_truth(self.shape)
        return bool(np.asarray(self).item())

    cdef object operand_for(self, other):
        """Return the array, or what ``other`` makes of it, where it takes no arrays."""
        array = np.asarray(self)
        new = getattr(other, "new_tensor", None)  # PyTorch: of its dtype, on its device
        return array if new is None else new(array)

    def __invert__(self):
        return ~np.asarray(self)

    def __and__(self, other):
        return self.operand_for(other) & other

    def __rand__(self, other):
        return other & self.operand_for(other)

    def __or__(self, other):
        return self.operand_for(other) | other

    def __ror__(self, other):
        return other | self.operand_for(other)

    def __xor__(self, other):
        return self.operand_for(other) ^ other

    def __rxor__(self, other):
        return other ^ self.operand_for(other)

    def __add__(self, other):
        return self.operand_for(other) + other

    def __radd__(self, other):
        return other + self.operand_for(other)

    def __sub__(self, other):
        return self.operand_for(other) - other

    def __rsub__(self, other):
        return other - self.operand_for(other)

    def __mul__(self, other):
        return self.operand_for(other) * other

    def __rmul__(self, other):
        return other * self.operand_for(other)
